/** Tables `retention` and `retention_round`, and the statements that delete what is old, each a bounded number of rows. */
import {
  RETENTION_KINDS,
  type RetentionRound,
  TABLES_KEPT,
  type TableStatus,
} from '../../domain/retention.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { plainArray } from './columns.ts';
import type { Db, Tx } from './connection.ts';
import { PARTITIONED_LOGS } from './partition-tables.ts';

export interface KeepRow {
  readonly kind: string;
  /** Null for ever. bigint comes as text. */
  readonly keep_ms: string | null;
  readonly updated_at: Date;
  readonly updated_by: string;
}

export function readKeeps(db: Tx): Promise<KeepRow[]> {
  return db.query<KeepRow>('SELECT kind, keep_ms, updated_at, updated_by FROM signalbox.retention');
}

/** Stores several at once: all or none. */
export async function writeKeeps(
  db: Tx,
  keeps: readonly { kind: string; keepMs: number | null }[],
  by: string,
  now: Date,
): Promise<void> {
  await db.execute(
    `INSERT INTO signalbox.retention (kind, keep_ms, updated_at, updated_by)
     SELECT kind, keep_ms, $2, $3 FROM jsonb_to_recordset($1::jsonb) AS k (kind text, keep_ms bigint)
     ORDER BY kind
     ON CONFLICT (kind) DO UPDATE SET
       keep_ms = excluded.keep_ms, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [JSON.stringify(keeps.map(({ kind, keepMs }) => ({ kind, keep_ms: keepMs }))), now, by],
  );
}

export async function readRounds(db: Tx): Promise<ReadonlyMap<string, RetentionRound>> {
  const rows = await db.query<{
    kind: string;
    at: Date;
    deleted: string;
    deleted_ever: string;
    took_ms: number;
    error: string | null;
  }>('SELECT kind, at, deleted, deleted_ever, took_ms, error FROM signalbox.retention_round');
  return new Map(
    rows.map((row) => [
      row.kind,
      {
        at: row.at.toISOString(),
        deleted: Number(row.deleted),
        deletedEver: Number(row.deleted_ever),
        tookMs: row.took_ms,
        error: row.error,
      },
    ]),
  );
}

/** Where a walk goes on; null at its beginning. */
export async function readCursor(db: Tx, kind: string): Promise<string | null> {
  const [row] = await db.query<{ cursor: string | null }>(
    'SELECT cursor FROM signalbox.retention_round WHERE kind = $1',
    [kind],
  );
  return row?.cursor ?? null;
}

export interface RoundRecord {
  readonly kind: string;
  readonly cursor: string | null;
  readonly deleted: number;
  readonly tookMs: number;
  readonly error: string | null;
}

/** @param now PostgreSQL's own time where it is null */
export async function recordRound(db: Tx, round: RoundRecord, now: Date | null): Promise<void> {
  await db.execute(
    `INSERT INTO signalbox.retention_round AS r (kind, cursor, at, deleted, deleted_ever, took_ms, error)
     VALUES ($1, $2, coalesce($3, now()), $4, $4, $5, $6)
     ON CONFLICT (kind) DO UPDATE SET cursor = excluded.cursor, at = excluded.at, deleted = excluded.deleted,
       deleted_ever = r.deleted_ever + excluded.deleted, took_ms = excluded.took_ms, error = excluded.error`,
    [round.kind, round.cursor, now, round.deleted, round.tookMs, round.error],
  );
}

/** How long a kind is kept, by default or as it is set; null for ever. */
export function keepOf(kind: string, rows: readonly KeepRow[]): number | null {
  const row = rows.find((one) => one.kind === kind);
  if (row === undefined) return RETENTION_KINDS.find((one) => one.kind === kind)?.defaultMs ?? null;
  return row.keep_ms === null ? null : Number(row.keep_ms);
}

/**
 * For background steps that delete a kind by themselves: deletes until little is left, and records the round.
 * @param work deletes up to `atOnce` rows that are older than `keepMs`
 */
export async function deleteKept(
  db: Tx,
  kind: string,
  atOnce: number,
  work: (keepMs: number) => Promise<number>,
): Promise<void> {
  const keepMs = keepOf(kind, await readKeeps(db));
  if (keepMs === null) return;
  const startedAt = performance.now();
  let deleted = 0;
  for (let last = atOnce; last === atOnce; deleted += last) last = await work(keepMs);
  const tookMs = performance.now() - startedAt;
  await recordRound(db, { kind, cursor: null, deleted, tookMs, error: null }, null);
}

/** A run may go: it has ended before `$2`, and its workflow has a newer one, and a newer scheduled one. */
const MAY_GO = `
  r.state IN ('succeeded', 'failed', 'cancelled', 'skipped') AND r.finished_at < $2
  AND NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.run_id = r.id)
  AND EXISTS (SELECT FROM signalbox.run n WHERE n.workflow = r.workflow AND n.id > r.id)
  AND (r.trigger <> 'schedule' OR r.logical_date IS NULL OR EXISTS (
    SELECT FROM signalbox.run n
    WHERE n.workflow = r.workflow AND n.trigger = 'schedule' AND n.logical_date > r.logical_date))`;

export interface WalkedRun {
  readonly id: string;
  /** Whether it may go, by itself. Runs that another started go with that one. */
  readonly isOld: boolean;
}

/** The next runs in the order of their creation, from behind `cursor` up to `until`. */
export function walkRuns(
  db: Tx,
  of: { cursor: string | null; before: Date; until: string; limit: number },
): Promise<WalkedRun[]> {
  return db.query<WalkedRun>(
    // No NOT EXISTS: for that the planner may read all runs into a hash table.
    `SELECT r.id, (${MAY_GO}
              AND (SELECT p.id FROM signalbox.run p WHERE p.id = r.parent_run_id) IS NULL) AS "isOld"
     FROM (SELECT * FROM signalbox.run
           WHERE id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND id < $3::uuid
           ORDER BY id LIMIT $4) r
     ORDER BY r.id`,
    [of.cursor, of.before, of.until, of.limit],
  );
}

export interface TreeRun {
  readonly root: string;
  readonly id: string;
  readonly depth: number;
  readonly isOld: boolean;
}

/** These runs with all that they started, and what those started. */
export function readTrees(db: Tx, roots: readonly string[], before: Date): Promise<TreeRun[]> {
  return db.query<TreeRun>(
    `WITH RECURSIVE tree AS (
       SELECT id AS root, id, 0 AS depth FROM unnest($1::uuid[]) AS g (id)
       UNION ALL
       SELECT t.root, c.id, t.depth + 1 FROM tree t JOIN signalbox.run c ON c.parent_run_id = t.id
       WHERE t.depth < 100)
     SELECT t.root, t.id, t.depth, (${MAY_GO}) AS "isOld"
     FROM tree t JOIN signalbox.run r ON r.id = t.id`,
    [plainArray(roots), before],
  );
}

/** Tables with rows of a run that mean nothing without it. */
const OF_RUN = [
  ...['run_origin', 'run_partition', 'run_action', 'flow_event', 'flow_wait', 'run_superseded'],
  ...['run_hold', 'deadline', 'result_cache_hit', 'run_key', 'subflow_wait'],
  ...PARTITIONED_LOGS.map((log) => `${log}_other`),
];

/**
 * Deletes runs with all that is of them, but what lies in the ranges of the logs. What somebody made live again
 * meanwhile stays.
 * @returns how many runs went
 */
export function deleteRuns(db: Db, ids: readonly string[], before: Date): Promise<number> {
  return db.transaction(async (tx) => {
    const gone = await tx.rows<readonly [string]>(
      `DELETE FROM signalbox.run r WHERE r.id = ANY($1::uuid[])
         AND r.state IN ('succeeded', 'failed', 'cancelled', 'skipped') AND r.finished_at < $2
         AND NOT EXISTS (SELECT FROM signalbox.run c
                         WHERE c.parent_run_id = r.id AND c.id <> ALL($1::uuid[]))
       RETURNING r.id`,
      [plainArray(ids), before],
    );
    const values = [plainArray(gone.map(([id]) => id))];
    if (gone.length > 0) {
      await Promise.all(
        OF_RUN.map((table) =>
          tx.execute(`DELETE FROM signalbox.${table} WHERE run_id = ANY($1::uuid[])`, values),
        ),
      );
    }
    return gone.length;
  });
}

/** Of each: [table, what of the walked rows `w` stays]. */
const WALKED = {
  materializations: [
    'materialization',
    `EXISTS (SELECT FROM signalbox.asset a WHERE a.key = w.asset_key
             AND w.id IN (a.computed_id, a.served_id, a.last_id))
     OR EXISTS (SELECT FROM signalbox.asset_partition p
                WHERE p.asset_key = w.asset_key AND p.partition = w.partition AND p.version_id = w.id)
     OR NOT EXISTS (SELECT FROM signalbox.materialization n
                    WHERE n.asset_key = w.asset_key AND n.id > w.id
                      AND (w.partition IS NULL OR n.partition = w.partition))`,
  ],
  'check-results': ['asset_check_result', 'false'],
  // The latest look of each is in `automation_state`.
  'automation-evaluations': ['automation_evaluation', 'false'],
  observations: [
    'asset_observation',
    `EXISTS (SELECT FROM signalbox.asset a WHERE a.key = w.asset_key AND a.observation_id = w.id)
     OR NOT EXISTS (SELECT FROM signalbox.asset_observation n
                    WHERE n.asset_key = w.asset_key AND n.id > w.id)`,
  ],
} as const;
export type WalkedKind = keyof typeof WALKED;
export const WALKED_KINDS = Object.keys(WALKED) as readonly WalkedKind[];

/** Looks at the next rows in the order of their ids and deletes those that are not needed. */
export async function deleteWalked(
  db: Tx,
  kind: WalkedKind,
  of: { cursor: string | null; until: string; limit: number },
): Promise<{ seen: number; deleted: number; cursor: string | null }> {
  const [table, stays] = WALKED[kind];
  const [row] = await db.query<{ seen: number; deleted: number; last: string | null }>(
    `WITH w AS MATERIALIZED (
       SELECT * FROM signalbox.${table}
       WHERE id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND id < $2::uuid
       ORDER BY id LIMIT $3
     ), gone AS (
       DELETE FROM signalbox.${table} WHERE id = ANY(ARRAY(SELECT w.id FROM w WHERE NOT (${stays}))) RETURNING 1)
     SELECT (SELECT count(*)::int FROM w) AS seen, (SELECT count(*)::int FROM gone) AS deleted,
            (SELECT id FROM w ORDER BY id DESC LIMIT 1) AS last`,
    [of.cursor, of.until, of.limit],
  );
  return { seen: row?.seen ?? 0, deleted: row?.deleted ?? 0, cursor: row?.last ?? null };
}

/** Keys whose work is done; what is held or not known to be done stays. */
export function deleteOnceKeys(db: Tx, before: Date, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.once_key WHERE (workflow, key_hash) IN (
       SELECT workflow, key_hash FROM signalbox.once_key
       WHERE held_at < $1 AND finished_at < $1 AND state = 'done' ORDER BY held_at LIMIT $2)
     AND state = 'done'`,
    [before, limit],
  );
}

/** Items first, so that no statement has to delete a backfill of any size. @returns rows */
export async function deleteBackfills(db: Db, before: Date, limit: number): Promise<number> {
  const rows = await db.rows<readonly [string]>(
    `SELECT id FROM signalbox.backfill
     WHERE id < signalbox.id_from($1) AND finished_at < $1 AND state IN ('succeeded', 'failed', 'cancelled')
     ORDER BY id LIMIT 20`,
    [before],
  );
  if (rows.length === 0) return 0;
  const ids = plainArray(rows.map(([id]) => id));
  const items = await db.execute(
    `DELETE FROM signalbox.backfill_item WHERE (backfill_id, seq) IN (
       SELECT backfill_id, seq FROM signalbox.backfill_item WHERE backfill_id = ANY($1::uuid[]) LIMIT $2)`,
    [ids, limit],
  );
  if (items === limit) return items;
  return (
    items + (await db.execute('DELETE FROM signalbox.backfill WHERE id = ANY($1::uuid[])', [ids]))
  );
}

/** Oldest moment of a table, where that is cheap to say. */
const OLDEST: Readonly<Record<string, string>> = {
  ...{ run: 'SELECT created_at FROM signalbox.run ORDER BY id LIMIT 1' },
  ...{ once_key: 'SELECT held_at FROM signalbox.once_key ORDER BY held_at LIMIT 1' },
  ...{ materialization: 'SELECT recorded_at FROM signalbox.materialization ORDER BY id LIMIT 1' },
  ...{ asset_check_result: 'SELECT at FROM signalbox.asset_check_result ORDER BY id LIMIT 1' },
  ...{
    asset_observation: 'SELECT recorded_at FROM signalbox.asset_observation ORDER BY id LIMIT 1',
  },
  ...{ backfill: 'SELECT created_at FROM signalbox.backfill ORDER BY id LIMIT 1' },
  ...{ incident: 'SELECT detected_at FROM signalbox.incident ORDER BY number LIMIT 1' },
  ...{ incident_event: 'SELECT at FROM signalbox.incident_event ORDER BY id LIMIT 1' },
  ...{ audit: 'SELECT at FROM signalbox.audit ORDER BY id LIMIT 1' },
  ...{
    deadline_miss: 'SELECT noticed_at FROM signalbox.deadline_miss ORDER BY noticed_at LIMIT 1',
  },
  ...{ callback: 'SELECT created_at FROM signalbox.callback ORDER BY created_at LIMIT 1' },
  ...{ event_batch: 'SELECT at FROM signalbox.event_batch ORDER BY xid, id LIMIT 1' },
  ...{ task_log: 'SELECT finished_at FROM signalbox.task_log ORDER BY run_id LIMIT 1' },
  ...{ step_log: 'SELECT finished_at FROM signalbox.step_log ORDER BY run_id LIMIT 1' },
};

const TABLES = `
  SELECT coalesce(p.relname, c.relname) AS "table", count(p.oid)::int AS partitions,
         sum(pg_total_relation_size(c.oid))::float8 AS bytes,
         sum(greatest(coalesce(s.n_live_tup, 0), 0))::float8 AS rows,
         sum(coalesce(s.n_dead_tup, 0))::float8 AS "deadRows", max(s.last_autovacuum) AS "lastAutovacuum"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
  WHERE n.nspname = 'signalbox' AND c.relkind = 'r'
  GROUP BY 1 ORDER BY bytes DESC, 1`;

/** All tables, the largest first. */
export async function readTables(db: Tx): Promise<TableStatus[]> {
  const rows = await db.query<
    Omit<TableStatus, 'oldest' | 'lastAutovacuum' | 'kept'> & { lastAutovacuum: Date | null }
  >(TABLES);
  return Promise.all(
    rows.map(async (row) => {
      const sql = OLDEST[row.table];
      const [oldest] = sql === undefined ? [] : await db.rows<readonly [Date]>(sql);
      const lastAutovacuum = toRfc3339(row.lastAutovacuum);
      const kept = TABLES_KEPT[row.table] ?? 'not told';
      return { ...row, lastAutovacuum, oldest: toRfc3339(oldest?.[0] ?? null), kept };
    }),
  );
}
