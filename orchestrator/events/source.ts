/**
 * Events in the order of their transactions, for whoever follows them. Only rows below the oldest transaction that
 * is still under way are read, so that one that commits late is not passed by.
 */
import type { AssetEvent, EventBatch, EventSource, RunEvent } from '../../domain/events.ts';
import type { Run } from '../../domain/run.ts';
import { taskStateOf } from '../dispatch/task-codes.ts';
import { expandVersion } from '../runs/expansion.ts';
import type { Version, Versions } from '../runs/versions.ts';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { readRuns, toRun } from '../store/run.ts';
import type { StoredChanges } from './changes.ts';

const NAME = 'clickhouse';
/** Rows read at once; each holds up to a thousand events of a transaction. */
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
/** Enough of a row to see how much of what follows is wanted. */
const SELECT_SIZES = `
  SELECT size FROM signalbox.event_batch
  WHERE (xid, id) > ($1::text::xid8, $2::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
  ORDER BY xid, id LIMIT $3`;

export function createEventSource(db: Db, versions: Versions): EventSource {
  return {
    async readAfter(watermark, limit) {
      const [, xid = '0', id = '0'] = WATERMARK.exec(watermark ?? '0:0') ?? [];
      const sizes = await db.rows<readonly [number]>(SELECT_SIZES, [xid, id, MAX_ROWS]);
      const count = countUpTo(
        sizes.map(([size]) => size),
        limit,
      );
      const taken = await db.query<StoredRow>(SELECT, [xid, id, count]);
      const last = taken.at(-1);
      return {
        ...(await expand(db, versions, taken)),
        watermark: last ? `${last.xid}:${last.id}` : `${xid}:${id}`,
        caughtUp: count === sizes.length && count < MAX_ROWS,
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

/** Rows until the limit of events is reached; one at least, where there is one. */
function countUpTo(sizes: readonly number[], limit: number): number {
  let sum = 0;
  for (const [index, size] of sizes.entries()) {
    sum += size;
    if (index > 0 && sum > limit) return index;
  }
  return sizes.length;
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
  readonly version: Version | undefined;
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
    rows.map((row) => {
      const version = versions.get(row.version_id ?? '');
      const parameters = JSON.stringify(row.parameters);
      return [
        row.id,
        { run: toRun(row), version: version && expandVersion(version, row.expanded), parameters },
      ];
    }),
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
      taskKey: task < 0 ? '' : (known.version?.tasks[task]?.key ?? ''),
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
