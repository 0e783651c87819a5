/**
 * Events in the order of their transactions, for whoever follows them. Only rows below the oldest transaction that
 * is still under way are read, so that one that commits late is not passed by.
 */
import type { AssetEvent, EventBatch, EventSource, RunEvent } from '../../domain/events.ts';
import type { Run } from '../../domain/run.ts';
import { taskStateOf } from '../dispatch/task-codes.ts';
import type { Versions } from '../runs/versions.ts';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { readRuns, toRun } from '../store/run.ts';
import type { StoredChanges } from './changes.ts';

const NAME = 'clickhouse';
/** Rows read at once; each holds the events of a transaction. */
const MAX_ROWS = 500;
const WATERMARK = /^(\d{1,20}):(\d{1,19})$/;

interface StoredRow {
  readonly xid: string;
  readonly id: string;
  readonly kind: 'run' | 'asset' | 'change';
  readonly size: number;
  readonly events: string;
}

const SELECT = `
  SELECT xid::text, id, kind, size, events FROM signalbox.event_batch
  WHERE (xid, id) > ($1::text::xid8, $2::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY xid, id LIMIT $3`;

export function createEventSource(db: Db, versions: Versions): EventSource {
  return {
    async readAfter(watermark, limit) {
      const [, xid = '0', id = '0'] = WATERMARK.exec(watermark ?? '0:0') ?? [];
      const rows = await db.query<StoredRow>(SELECT, [xid, id, MAX_ROWS]);
      const taken = takeUpTo(rows, limit);
      const last = taken.at(-1);
      return {
        ...(await expand(db, versions, taken)),
        watermark: last ? `${last.xid}:${last.id}` : `${xid}:${id}`,
        caughtUp: taken.length === rows.length && rows.length < MAX_ROWS,
      };
    },
    async loadWatermark() {
      const [row] = await db.query<{ watermark: string }>(
        'SELECT watermark FROM signalbox.follower WHERE name = $1',
        [NAME],
      );
      return row?.watermark ?? null;
    },
    async saveWatermark(watermark) {
      await db.execute(
        `INSERT INTO signalbox.follower (name, watermark) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET watermark = excluded.watermark, saved_at = now()`,
        [NAME, watermark],
      );
    },
  };
}

/** Rows until the limit of events is reached; one at least. */
function takeUpTo(rows: readonly StoredRow[], limit: number): StoredRow[] {
  const taken: StoredRow[] = [];
  let size = 0;
  for (const row of rows) {
    if (taken.length > 0 && size + row.size > limit) break;
    taken.push(row);
    size += row.size;
  }
  return taken;
}

async function expand(
  db: Db,
  versions: Versions,
  rows: readonly StoredRow[],
): Promise<Pick<EventBatch, 'runEvents' | 'assetEvents'>> {
  const runEvents: RunEvent[] = [];
  const assetEvents: AssetEvent[] = [];
  const changes = new Map<StoredRow, StoredChanges>();
  for (const row of rows) {
    if (row.kind === 'change') changes.set(row, JSON.parse(row.events) as StoredChanges);
  }
  const runs = await readInfos(
    db,
    versions,
    [...changes.values()].flatMap((change) => change.runs),
  );
  for (const row of rows) {
    const idOf = (index: number) =>
      `${row.xid.padStart(20, '0')}-${row.id.padStart(12, '0')}-${index.toString().padStart(6, '0')}`;
    const change = changes.get(row);
    if (change) {
      runEvents.push(...expandChanges(change, runs, idOf));
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

interface KnownRun {
  readonly run: Run;
  readonly keys: readonly string[];
  readonly parameters: string;
}

async function readInfos(
  db: Db,
  versions: Versions,
  ids: readonly string[],
): Promise<ReadonlyMap<string, KnownRun>> {
  if (ids.length === 0) return new Map();
  const rows = await readRuns(db, [...new Set(ids)]);
  await versions.load(
    db,
    rows.flatMap((row) => row.version_id ?? []),
  );
  return new Map(
    rows.map((row) => [
      row.id,
      {
        run: toRun(row),
        keys: versions.get(row.version_id ?? '')?.tasks.map(({ key }) => key) ?? [],
        parameters: JSON.stringify(row.parameters),
      },
    ]),
  );
}

function expandChanges(
  stored: StoredChanges,
  runs: ReadonlyMap<string, KnownRun>,
  idOf: (index: number) => string,
): RunEvent[] {
  return stored.changes.flatMap((change, index) => {
    const [place, task, attempt, state, at, agent, startedAt, finishedAt, error] = change;
    const known = runs.get(stored.runs[place] ?? '');
    if (!known) return [];
    const { run } = known;
    return {
      ...{ id: idOf(index), at, engine: run.engine, runId: run.id, workflow: run.workflow },
      taskKey: task < 0 ? '' : (known.keys[task] ?? ''),
      attempt,
      state: typeof state === 'string' ? state : taskStateOf(state),
      businessKey: run.businessKey,
      logicalDate: run.logicalDate === null ? null : Date.parse(run.logicalDate),
      parameters: known.parameters,
      trigger: run.trigger,
      parentRunId: run.parentRunId ?? '',
      retryOf: run.retryOf ?? '',
      agent,
      traceId: run.traceId ?? '',
      ...{ error, startedAt, finishedAt },
    };
  });
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

/** Deletes what was followed long ago, and what nobody has followed for very long. */
export function createEventRetention(db: Db, source: EventSource): Reconciler {
  return {
    name: 'event-retention',
    everyMs: RETENTION_EVERY_MS,
    async run() {
      const [, xid = '0', id = '0'] = WATERMARK.exec((await source.loadWatermark()) ?? '0:0') ?? [];
      const values = [xid, id, DELETE_AT_ONCE, KEEP_UNFOLLOWED, KEEP_FOLLOWED];
      while ((await db.execute(DELETE_OLD, values)) === DELETE_AT_ONCE);
    },
  };
}
