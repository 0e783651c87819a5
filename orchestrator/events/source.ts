/**
 * Events in the order of their transactions, for whoever follows them. Only rows below the oldest transaction that
 * is still under way are read, so that one that commits late is not passed by.
 */
import type { AssetEvent, EventBatch, EventSource, RunEvent } from '../../domain/events.ts';
import type { Run } from '../../domain/run.ts';
import { taskStateOf } from '../dispatch/task-codes.ts';
import { expandVersion } from '../runs/expansion.ts';
import { createRecent, type Recent } from '../runs/recent.ts';
import type { Version, Versions } from '../runs/versions.ts';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { placeOf, rowsAfter, watermarkOf } from '../store/event-batch.ts';
import { readRuns, toRun } from '../store/run.ts';
import type { ChangeRow, StoredChanges } from './changes.ts';

const NAME = 'clickhouse';
/**
 * Rows read at once; each holds up to a thousand events of a transaction. Where transactions are small there are
 * thousands of rows a second: a smaller limit would make a batch of few events of them, and each batch costs its
 * reader the same time.
 */
const MAX_ROWS = 5_000;
/** Text of the events read at once. */
const MAX_BYTES = 32 * 1024 * 1024;
const START = { xid: '0', id: '0' };

interface StoredRow {
  readonly xid: string;
  readonly id: string;
  readonly kind: 'run' | 'asset' | 'change';
  readonly size: number;
  readonly events: string;
  /** Events of the row behind it; null where there is none among those looked at. */
  readonly next: number | null;
}

/** Rows up to $4 events and $5 bytes, and one at least. Texts are not fetched of rows that are only looked at. */
const SELECT = `
  SELECT xid::text, id, kind, size, events, next
  FROM (
    SELECT b.*, row_number() OVER w AS place, lead(size) OVER w AS next,
           sum(size) OVER w AS sizes, sum(octet_length(events)) OVER w AS bytes
    FROM (${rowsAfter('b.xid, b.id, b.kind, b.size, b.events')}) b
    WINDOW w AS (ORDER BY xid, id ROWS UNBOUNDED PRECEDING)
  ) b
  WHERE place = 1 OR (sizes <= $4 AND bytes <= $5)
  ORDER BY b.xid, b.id`;
/** One that was stopped for long must not take back where another has followed to meanwhile. */
const SAVE_WATERMARK = `
  INSERT INTO signalbox.follower (name, watermark) VALUES ($1, $2)
  ON CONFLICT (name) DO UPDATE SET watermark = excluded.watermark, saved_at = now()
    WHERE $4::boolean OR follower.watermark = $3::text`;

interface SourceDeps {
  readonly db: Db;
  readonly versions: Versions;
  readonly known: KnownRuns;
}

export interface RunEventSource extends EventSource {
  /** A run that this server made: its events need not read it. */
  made(run: Run, version: Version): void;
}

export function createEventSource(db: Db, versions: Versions): RunEventSource {
  const deps: SourceDeps = { db, versions, known: createKnownRuns() };
  return {
    made: (run, version) => deps.known.set(run.id, { frame: frameOf(run), version }),
    async readAfter(watermark, limit) {
      const { xid, id } = placeOf(watermark) ?? START;
      const taken = await db.query<StoredRow>(SELECT, [xid, id, MAX_ROWS, limit, MAX_BYTES]);
      const last = taken.at(-1);
      return {
        ...(await expand(deps, taken)),
        watermark: watermarkOf(last ?? { xid, id }),
        caughtUp: (last?.next ?? null) === null && taken.length < MAX_ROWS,
      };
    },
    async loadWatermark() {
      const [row] = await db.query<{ watermark: string }>(
        'SELECT watermark FROM signalbox.follower WHERE name = $1',
        [NAME],
      );
      return row?.watermark ?? null;
    },
    async saveWatermark(watermark, from) {
      const saved = await db.execute(SAVE_WATERMARK, [NAME, watermark, from, from === undefined]);
      return saved > 0;
    },
  };
}

async function expand(
  deps: SourceDeps,
  rows: readonly StoredRow[],
): Promise<Pick<EventBatch, 'runEvents' | 'assetEvents'>> {
  const runEvents: RunEvent[] = [];
  const assetEvents: AssetEvent[] = [];
  const changes = new Map<StoredRow, StoredChanges>();
  for (const row of rows) {
    if (row.kind === 'change') changes.set(row, JSON.parse(row.events) as StoredChanges);
  }
  const runs = await loadRuns(deps, changes.values());
  for (const row of rows) {
    const prefix = `${row.xid.padStart(20, '0')}-${row.id.padStart(12, '0')}-`;
    const idOf = (index: number) => prefix + String(index).padStart(6, '0');
    const change = changes.get(row);
    if (change) {
      for (const [index, one] of change.changes.entries()) {
        const run = runs.get(change.runs[one[0]] ?? '');
        if (run) runEvents.push(toEvent(idOf(index), run, one));
      }
    } else if (row.kind === 'run') {
      const events = JSON.parse(row.events) as Omit<RunEvent, 'id'>[];
      runEvents.push(...events.map((event, index) => ({ ...event, id: idOf(index) })));
    } else {
      const events = JSON.parse(row.events) as Omit<AssetEvent, 'id'>[];
      assetEvents.push(...events.map((event, index) => ({ ...event, id: idOf(index) })));
    }
  }
  return { runEvents, assetEvents };
}

/** What each event of a run says alike. */
type RunFrame = Omit<
  RunEvent,
  'id' | 'at' | 'taskKey' | 'attempt' | 'state' | 'agent' | 'error' | 'startedAt' | 'finishedAt'
>;

interface KnownRun {
  readonly frame: RunFrame;
  readonly version: Version | undefined;
}

/** Runs of which events came last. Nothing of them ever changes, but that mapped tasks get their lists. */
type KnownRuns = Recent<string, KnownRun>;

/** Bytes of the runs that are kept in mind, roughly. */
const MAX_KNOWN_BYTES = 8 * 1024 * 1024;
const BYTES_A_RUN = 700;

function createKnownRuns(): KnownRuns {
  return createRecent(MAX_KNOWN_BYTES, ({ frame }) => BYTES_A_RUN + frame.parameters.length);
}

/** All runs of these changes; those are read that are not in mind, or whose graph has grown. */
async function loadRuns(
  { db, versions, known }: SourceDeps,
  changes: Iterable<StoredChanges>,
): Promise<ReadonlyMap<string, KnownRun>> {
  const found = new Map<string, KnownRun>();
  const missing = new Set<string>();
  for (const { runs, changes: rows } of changes) {
    for (const runId of runs) {
      const run = found.get(runId) ?? known.get(runId);
      if (run) found.set(runId, run);
      else missing.add(runId);
    }
    for (const [place, task] of rows) {
      const version = found.get(runs[place] ?? '')?.version;
      if (version && task >= version.tasks.length) missing.add(runs[place] ?? '');
    }
  }
  if (missing.size === 0) return found;
  const rows = await readRuns(db, [...missing]);
  await versions.load(
    db,
    rows.flatMap((row) => row.version_id ?? []),
  );
  for (const row of rows) {
    const version = versions.get(row.version_id ?? '');
    const run = {
      frame: frameOf(toRun(row)),
      version: version && expandVersion(version, row.expanded),
    };
    known.set(row.id, run);
    found.set(row.id, run);
  }
  return found;
}

function frameOf(run: Run): RunFrame {
  return {
    engine: run.engine,
    runId: run.id,
    workflow: run.workflow,
    businessKey: run.businessKey,
    logicalDate: run.logicalDate === null ? null : Date.parse(run.logicalDate),
    parameters: JSON.stringify(run.parameters),
    trigger: run.trigger,
    parentRunId: run.parentRunId ?? '',
    retryOf: run.retryOf ?? '',
    traceId: run.traceId ?? '',
  };
}

/** Written field by field: an object of one shape for each of tens of thousands of events a second. */
function toEvent(
  id: string,
  { frame, version }: KnownRun,
  [, task, attempt, state, at, agent, startedAt, finishedAt, error]: ChangeRow,
): RunEvent {
  return {
    id,
    at,
    engine: frame.engine,
    runId: frame.runId,
    workflow: frame.workflow,
    taskKey: task < 0 ? '' : (version?.tasks[task]?.key ?? ''),
    attempt,
    state: typeof state === 'string' ? state : taskStateOf(state),
    businessKey: frame.businessKey,
    logicalDate: frame.logicalDate,
    parameters: frame.parameters,
    trigger: frame.trigger,
    parentRunId: frame.parentRunId,
    retryOf: frame.retryOf,
    agent,
    traceId: frame.traceId,
    error,
    startedAt,
    finishedAt,
  };
}

const KEEP_FOLLOWED = '1 hour';
const KEEP_UNFOLLOWED = '7 days';
const DELETE_AT_ONCE = 2_000;
const RETENTION_EVERY_MS = 60_000;

const DELETE_OLD = `
  DELETE FROM signalbox.event_batch WHERE (xid, id) IN (
    SELECT xid, id FROM (SELECT xid, id, at FROM signalbox.event_batch ORDER BY xid, id LIMIT $3) oldest
    WHERE at < now() - $4::interval
       OR ((xid, id) <= ($1::text::xid8, $2::bigint) AND at < now() - $5::interval))`;

/** What everybody who follows has passed. */
async function slowestOf(db: Db, source: EventSource): Promise<string> {
  const first = await source.loadWatermark();
  if (first === null) return '0:0';
  const rows = await db.rows<readonly [string]>('SELECT watermark FROM signalbox.follower');
  const order = (text: string) => {
    const { xid, id } = placeOf(text) ?? START;
    return [BigInt(xid), BigInt(id)] as const;
  };
  return rows.reduce((slowest, [one]) => {
    const [a, b] = [order(one), order(slowest)];
    return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]) ? one : slowest;
  }, first);
}

/** Deletes what was followed long ago, and what nobody has followed for very long. */
export function createEventRetention(db: Db, source: EventSource): Reconciler {
  return {
    name: 'event-retention',
    everyMs: RETENTION_EVERY_MS,
    async run() {
      const { xid, id } = placeOf(await slowestOf(db, source)) ?? START;
      const values = [xid, id, DELETE_AT_ONCE, KEEP_UNFOLLOWED, KEEP_FOLLOWED];
      while ((await db.execute(DELETE_OLD, values)) === DELETE_AT_ONCE);
    },
  };
}
