/**
 * Claiming: ready tasks become running in the hands of sessions, highest priority first, then the oldest. They are
 * picked in one of two ways, a fast one for tasks that nothing limits, and one under locks for tasks of pools and
 * limited queues; then taken by key.
 */
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** A ready task that the transaction has locked. */
export interface PickedTask {
  readonly runId: string;
  readonly task: number;
  readonly attempt: number;
  /** Attempts that were lost with their agents. */
  readonly lost: number;
}

/** A task in the hands of a session. */
export interface ClaimedTask extends PickedTask {
  readonly sessionId: string;
  readonly token: string;
}

const NOT_LIMITED = `NOT EXISTS (
  SELECT FROM signalbox.queue WHERE name = q.name AND (paused OR concurrency IS NOT NULL))`;

const PICK = `
  SELECT t.run_id, t.task, t.attempt, t.lost
  FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
    SELECT run_id, task, attempt, lost, priority, ready_at FROM signalbox.task_live
    WHERE state = 1 AND pool IS NULL AND queue = q.name AND ${NOT_LIMITED}
    ORDER BY priority DESC, ready_at LIMIT $2
    FOR UPDATE SKIP LOCKED) t
  ORDER BY t.priority DESC, t.ready_at LIMIT $2`;

/** Locks tasks that nothing limits, in the order in which they should start. */
export function pickTasks(tx: Tx, queues: readonly string[], limit: number): Promise<PickedTask[]> {
  return pick(tx, PICK, queues, limit);
}

async function pick(
  tx: Tx,
  sql: string,
  queues: readonly string[],
  limit: number,
): Promise<PickedTask[]> {
  const rows = await tx.rows<readonly [string, number, number, number]>(sql, [
    textArray(queues),
    limit,
  ]);
  return rows.map(([runId, task, attempt, lost]) => ({ runId, task, attempt, lost }));
}

const TAKE = `
  UPDATE signalbox.task_live t
  SET state = 2, session_id = c.session_id, token = c.token, started_at = statement_timestamp()
  FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[]) AS c (run_id, task, session_id, token)
  WHERE t.run_id = c.run_id AND t.task = c.task`;

/** Puts picked tasks into the hands of sessions. */
export async function takeTasks(tx: Tx, claimed: readonly ClaimedTask[]): Promise<void> {
  await tx.execute(TAKE, [
    plainArray(claimed.map(({ runId }) => runId)),
    plainArray(claimed.map(({ task }) => task)),
    plainArray(claimed.map(({ sessionId }) => sessionId)),
    plainArray(claimed.map(({ token }) => token)),
  ]);
}

/**
 * Locks what limits tasks of these queues, always queues before pools and in the order of their names: two servers
 * that count the same pool count one after the other.
 */
const LOCK_QUEUES = `
  SELECT name FROM signalbox.queue
  WHERE name = ANY($1::text[]) AND NOT paused AND concurrency IS NOT NULL ORDER BY name FOR UPDATE`;
const LOCK_POOLS = `
  SELECT name FROM signalbox.pool WHERE name IN (
    SELECT DISTINCT t.pool FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
      SELECT DISTINCT pool FROM signalbox.task_live
      WHERE state = 1 AND pool IS NOT NULL AND queue = q.name) t)
  ORDER BY name FOR UPDATE`;

/** Rows of each pool and queue in the order of claims, as long as they fit into what is free. */
const PICK_LIMITED = `
  WITH q AS MATERIALIZED (
    SELECT g.name, coalesce(l.concurrency - (
             SELECT count(*) FROM signalbox.task_live r WHERE r.state = 2 AND r.queue = g.name), 2147483647) AS room
    FROM unnest($1::text[]) AS g (name) LEFT JOIN signalbox.queue l ON l.name = g.name
    WHERE l.paused IS NOT TRUE
  ), pooled AS MATERIALIZED (
    SELECT DISTINCT t.pool FROM q CROSS JOIN LATERAL (
      SELECT DISTINCT pool FROM signalbox.task_live
      WHERE state = 1 AND pool IS NOT NULL AND queue = q.name) t
  ), p AS MATERIALIZED (
    SELECT d.pool AS name, CASE WHEN s.name IS NULL THEN 2147483647 ELSE s.max - (
             SELECT coalesce(sum(r.pool_slots), 0) FROM signalbox.task_live r
             WHERE r.state = 2 AND r.pool = d.pool AND r.pool IS NOT NULL) END AS room
    FROM pooled d LEFT JOIN signalbox.pool s ON s.name = d.pool AND s.kind = 'task-slots'
  ), free AS MATERIALIZED (
    SELECT t.* FROM q CROSS JOIN LATERAL (
      SELECT run_id, task, attempt, lost, priority, ready_at, queue, pool, pool_slots FROM signalbox.task_live
      WHERE state = 1 AND pool IS NULL AND queue = q.name
      ORDER BY priority DESC, ready_at LIMIT least(q.room, $2::int)
      FOR UPDATE SKIP LOCKED) t WHERE q.room > 0
  ), slotted AS MATERIALIZED (
    SELECT t.* FROM q CROSS JOIN p CROSS JOIN LATERAL (
      SELECT run_id, task, attempt, lost, priority, ready_at, queue, pool, pool_slots FROM signalbox.task_live
      WHERE state = 1 AND pool = p.name AND pool IS NOT NULL AND queue = q.name
      ORDER BY priority DESC, ready_at LIMIT least(p.room, q.room, $2::int)
      FOR UPDATE SKIP LOCKED) t WHERE q.room > 0 AND p.room > 0
  ), fitting AS MATERIALIZED (
    SELECT s.*, sum(s.pool_slots) OVER (PARTITION BY s.pool ORDER BY s.priority DESC, s.ready_at, s.run_id, s.task)
             AS used
    FROM slotted s
  ), both_kinds AS MATERIALIZED (
    SELECT run_id, task, attempt, lost, priority, ready_at, queue FROM free
    UNION ALL
    SELECT f.run_id, f.task, f.attempt, f.lost, f.priority, f.ready_at, f.queue FROM fitting f JOIN p ON p.name = f.pool
    WHERE f.used <= p.room
  ), counted AS MATERIALIZED (
    SELECT b.*, row_number() OVER (PARTITION BY b.queue ORDER BY b.priority DESC, b.ready_at) AS nth
    FROM both_kinds b
  )
  SELECT c.run_id, c.task, c.attempt, c.lost FROM counted c JOIN q ON q.name = c.queue
  WHERE c.nth <= q.room ORDER BY c.priority DESC, c.ready_at LIMIT $2`;

/** Locks tasks within the limits of queues and pools; exact, whoever else claims at the time. */
export async function pickLimitedTasks(
  tx: Tx,
  queues: readonly string[],
  limit: number,
): Promise<PickedTask[]> {
  await tx.execute(LOCK_QUEUES, [textArray(queues)]);
  await tx.execute(LOCK_POOLS, [textArray(queues)]);
  return pick(tx, PICK_LIMITED, queues, limit);
}

const HAS_LIMITED = `
  SELECT q.name FROM unnest($1::text[]) AS q (name)
  WHERE EXISTS (SELECT FROM signalbox.queue l WHERE l.name = q.name AND concurrency IS NOT NULL AND NOT paused)
     OR EXISTS (
       SELECT FROM signalbox.task_live t WHERE t.state = 1 AND t.pool IS NOT NULL AND t.queue = q.name)`;

/** Those of the queues that have a limit, or ready tasks that need slots of a pool. */
export async function findLimited(tx: Tx, queues: readonly string[]): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(HAS_LIMITED, [textArray(queues)]);
  return rows.map(([name]) => name);
}

const MARK_RUNNING = `
  WITH waiting AS MATERIALIZED (
    SELECT run_id FROM signalbox.run_live
    WHERE run_id = ANY($1::uuid[]) AND state IN ('queued', 'retrying') FOR UPDATE SKIP LOCKED)
  UPDATE signalbox.run_live r
  SET state = 'running', started_at = coalesce(r.started_at, statement_timestamp())
  FROM waiting w WHERE r.run_id = w.run_id
  RETURNING r.run_id, (extract(epoch FROM r.started_at) * 1000)::float8`;

/**
 * Makes these runs running. Those whose row is locked are left out: who holds the lock knows that they run, and
 * waiting here, with rows of task_live in hand, could be a deadlock.
 */
export async function markRunning(
  tx: Tx,
  runIds: readonly string[],
): Promise<{ runId: string; startedAt: number }[]> {
  const rows = await tx.rows<readonly [string, number]>(MARK_RUNNING, [plainArray(runIds)]);
  return rows.map(([runId, startedAt]) => ({ runId, startedAt }));
}

const RELEASE = `
  UPDATE signalbox.task_live t
  SET state = CASE WHEN EXISTS (
        SELECT FROM signalbox.run_live r WHERE r.run_id = t.run_id AND r.paused_at IS NOT NULL) THEN 11 ELSE 1 END,
      session_id = NULL, token = NULL, started_at = NULL
  FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS c (run_id, task, token)
  WHERE t.run_id = c.run_id AND t.task = c.task AND t.token = c.token`;

/** Makes tasks ready again that were claimed for somebody who had gone before he got them. */
export async function releaseTasks(tx: Tx, claimed: readonly ClaimedTask[]): Promise<void> {
  await tx.execute(RELEASE, [
    plainArray(claimed.map(({ runId }) => runId)),
    plainArray(claimed.map(({ task }) => task)),
    plainArray(claimed.map(({ token }) => token)),
  ]);
}
