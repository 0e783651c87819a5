/** Rows of `result_cache` and `result_cache_hit`: results of earlier executions, and who took one. */
import type { CacheRequest } from '../../domain/result.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';

export interface CachedResult {
  readonly result: unknown;
  readonly runId: string;
}

/** Finds a result that is fresh, and notes in the same statement who takes it. */
export async function takeCached(
  db: Tx,
  workflow: string,
  { runId, taskKey, attempt, name, hash }: Extract<CacheRequest, { op: 'get' }>,
): Promise<CachedResult | undefined> {
  const [row] = await db.query<CachedResult>(
    `WITH found AS (
       SELECT result, run_id FROM signalbox.result_cache
       WHERE workflow = $1 AND name = $2 AND hash = $3
         AND (expires_at IS NULL OR expires_at > clock_timestamp()) FOR SHARE
     ), noted AS (
       INSERT INTO signalbox.result_cache_hit (run_id, task_key, attempt, name, from_run, content, at)
       SELECT $4, $5, $6, $2, run_id,
              CASE WHEN result ->> '$signalbox' = 'result' THEN result ->> 'key' END, clock_timestamp()
       FROM found
       ON CONFLICT (run_id, task_key, attempt, name)
       DO UPDATE SET from_run = excluded.from_run, content = excluded.content, at = excluded.at
     )
     SELECT result, run_id AS "runId" FROM found`,
    [workflow, name, hash, runId, taskKey, attempt],
  );
  return row;
}

export async function storeCached(
  db: Tx,
  workflow: string,
  { name, hash, result, runId, expiresInMs }: Extract<CacheRequest, { op: 'put' }>,
): Promise<void> {
  await db.execute(
    `INSERT INTO signalbox.result_cache (workflow, name, hash, result, run_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4::jsonb, $5, clock_timestamp(), clock_timestamp() + $6::float8 * interval '1 millisecond')
     ON CONFLICT (workflow, name, hash) DO UPDATE
     SET result = excluded.result, run_id = excluded.run_id, created_at = excluded.created_at,
         expires_at = excluded.expires_at`,
    [workflow, name, hash, jsonText(result), runId, expiresInMs],
  );
}

/** Forgets results. @param name of one task, or null for all of the workflow. @returns how many there were */
export function forgetCached(db: Tx, workflow: string, name: string | null): Promise<number> {
  return db.execute(
    'DELETE FROM signalbox.result_cache WHERE workflow = $1 AND ($2::text IS NULL OR name = $2)',
    [workflow, name],
  );
}

/** Deletes so many that are over. */
export function sweepCached(db: Tx, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.result_cache WHERE (workflow, name, hash) IN (
       SELECT workflow, name, hash FROM signalbox.result_cache
       WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`,
    [limit],
  );
}

/** Deletes so many notes of runs that are no more. */
export function sweepHits(db: Tx, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.result_cache_hit WHERE ctid IN (
       SELECT h.ctid FROM signalbox.result_cache_hit h
       WHERE NOT EXISTS (SELECT FROM signalbox.run r WHERE r.id = h.run_id) LIMIT $1)`,
    [limit],
  );
}

/** The runs whose results attempts of a task took, by attempt. Steps of a flow that did are not meant. */
export async function readHits(
  db: Tx,
  runId: string,
  taskKey: string,
): Promise<ReadonlyMap<number, string>> {
  const rows = await db.query<{ attempt: number; fromRun: string }>(
    `SELECT attempt, from_run AS "fromRun" FROM signalbox.result_cache_hit
     WHERE run_id = $1 AND task_key = $2 AND (name = $2 OR starts_with($2, name || '['))`,
    [runId, taskKey],
  );
  return new Map(rows.map(({ attempt, fromRun }) => [attempt, fromRun]));
}

/**
 * Which content nobody needs: of no result, step, cached result, artifact or present value of an asset. Of a run that is no more only what the
 * cache, and who took from it, still names is needed.
 */
const UNUSED = `
  WITH content AS MATERIALIZED (
    SELECT c.key, c.run_id FROM unnest($1::text[], $2::uuid[]) AS c (key, run_id)
    WHERE NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.run_id = c.run_id)
  ), known AS MATERIALIZED (
    SELECT r.id FROM signalbox.run r WHERE r.id IN (SELECT run_id FROM content)
  ), used AS MATERIALIZED (
    SELECT t.result ->> 'key' AS key FROM known k JOIN signalbox.task_log t ON t.run_id = k.id
    WHERE pg_column_size(t.result) < 4000 AND t.result ->> '$signalbox' = 'result'
    UNION ALL
    SELECT s.result ->> 'key' FROM known k JOIN signalbox.step_log s ON s.run_id = k.id
    WHERE pg_column_size(s.result) < 4000 AND s.result ->> '$signalbox' = 'result'
    UNION ALL
    SELECT a.content ->> 'key' FROM known k JOIN signalbox.artifact a ON a.run_id = k.id
    WHERE a.content IS NOT NULL
    UNION ALL
    SELECT m.value ->> 'key' FROM signalbox.asset a
    JOIN signalbox.materialization m ON m.id IN (a.computed_id, a.served_id)
    WHERE pg_column_size(m.value) < 4000 AND m.value ->> '$signalbox' = 'result'
    UNION ALL
    SELECT p.value ->> 'key' FROM signalbox.asset_partition p
    WHERE p.run_id IN (SELECT run_id FROM content)
      AND pg_column_size(p.value) < 4000 AND p.value ->> '$signalbox' = 'result'
  )
  SELECT c.key FROM content c
  WHERE NOT EXISTS (SELECT FROM used u WHERE u.key = c.key)
    AND NOT EXISTS (
      SELECT FROM signalbox.result_cache e
      WHERE e.result ->> '$signalbox' = 'result' AND e.result ->> 'key' = c.key)
    AND NOT EXISTS (
      SELECT FROM signalbox.result_cache_hit h JOIN signalbox.run r ON r.id = h.run_id
      WHERE h.content = c.key)`;

export async function findUnused(
  db: Tx,
  content: readonly { readonly key: string; readonly runId: string }[],
): Promise<readonly string[]> {
  const rows = await db.query<{ key: string }>(UNUSED, [
    content.map(({ key }) => key),
    content.map(({ runId }) => runId),
  ]);
  return rows.map(({ key }) => key);
}
