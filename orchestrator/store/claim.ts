/**
 * Claiming: ready tasks become running in the hands of sessions, highest priority first, then the oldest. They are
 * picked in one of two ways, a fast one for tasks that nothing limits, and one under locks for tasks of pools and
 * limited queues; then taken by key.
 */

import { packTasks, unpackTasks } from './bundle.ts';
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

/** A row of ready tasks that the transaction has locked. */
export interface PickedRow extends PickedTask {
  readonly retriesLeft: number;
  readonly readyAt: number;
  readonly queue: string;
  readonly priority: number;
  /** Whether it needs slots of a pool, or has limits: what it takes is counted by its row. */
  readonly pool: boolean;
  /** Further tasks that the row stands for. */
  readonly more: readonly number[];
}

/** A task in the hands of a session. */
export interface ClaimedTask extends PickedTask {
  readonly sessionId: string;
  readonly token: string;
}

const NOT_LIMITED = `NOT EXISTS (
  SELECT FROM signalbox.queue WHERE name = q.name AND (paused OR concurrency IS NOT NULL))`;

const PICKED = `
  t.run_id, t.task, t.attempt, t.lost, t.retries_left, (extract(epoch FROM t.ready_at) * 1000)::float8,
  t.queue, t.priority, coalesce(t.pool, t.gates::text, t.labels::text) IS NOT NULL, t.more`;
const PICK = `
  SELECT ${PICKED}
  FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
    SELECT * FROM signalbox.task_live
    WHERE state = 1 AND pool IS NULL AND queue = q.name AND ${NOT_LIMITED}
    ORDER BY priority DESC, ready_at LIMIT $2
    FOR UPDATE SKIP LOCKED) t
  ORDER BY t.priority DESC, t.ready_at LIMIT $2`;

/** Locks tasks that nothing limits, in the order in which they should start. */
export function pickTasks(tx: Tx, queues: readonly string[], limit: number): Promise<PickedRow[]> {
  return pick(tx, PICK, queues, limit);
}

async function pick(
  tx: Tx,
  sql: string,
  queues: readonly string[],
  limit: number,
): Promise<PickedRow[]> {
  const rows = await tx.rows<
    readonly [
      string,
      number,
      number,
      number,
      number,
      number,
      string,
      number,
      boolean,
      Buffer | null,
    ]
  >(sql, [textArray(queues), limit]);
  return rows.map(
    ([runId, task, attempt, lost, retriesLeft, readyAt, queue, priority, pool, more]) => ({
      ...{ runId, task, attempt, lost, retriesLeft, readyAt, queue, priority, pool },
      more: unpackTasks(more),
    }),
  );
}

const TAKE = `
  UPDATE signalbox.task_live t
  SET state = 2, session_id = c.session_id, token = c.token, started_at = statement_timestamp()
  FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::bigint[]) AS c (run_id, task, session_id, token)
  WHERE t.run_id = c.run_id AND t.task = c.task`;

/** Puts picked tasks into the hands of sessions. */
export async function takeTasks(tx: Tx, claimed: readonly ClaimedTask[]): Promise<void> {
  if (claimed.length === 0) return;
  await tx.execute(TAKE, [
    plainArray(claimed.map(({ runId }) => runId)),
    plainArray(claimed.map(({ task }) => task)),
    plainArray(claimed.map(({ sessionId }) => sessionId)),
    plainArray(claimed.map(({ token }) => token)),
  ]);
}

const SHRINK = `
  UPDATE signalbox.task_live t SET task = c.next, more = c.more
  FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bytea[]) AS c (run_id, task, next, more)
  WHERE t.run_id = c.run_id AND t.task = c.task`;
const DELETE = `
  DELETE FROM signalbox.task_live t USING unnest($1::uuid[], $2::int[]) AS c (run_id, task)
  WHERE t.run_id = c.run_id AND t.task = c.task`;

/** Takes tasks out of the rows that stand for them; a row with none left goes. */
export async function shrinkRows(
  tx: Tx,
  taken: readonly { readonly row: PickedRow; readonly task: number }[],
): Promise<void> {
  const gone: PickedRow[] = [];
  const kept: { row: PickedRow; next: number; more: string | null }[] = [];
  for (const [row, own] of Map.groupBy(taken, ({ row }) => row)) {
    const took = new Set(own.map(({ task }) => task));
    const [next, ...more] = [row.task, ...row.more].filter((task) => !took.has(task));
    if (next === undefined) gone.push(row);
    else kept.push({ row, next, more: packTasks(more) });
  }
  await Promise.all([
    gone.length > 0 &&
      tx.execute(DELETE, [
        plainArray(gone.map(({ runId }) => runId)),
        plainArray(gone.map(({ task }) => task)),
      ]),
    kept.length > 0 &&
      tx.execute(SHRINK, [
        plainArray(kept.map(({ row }) => row.runId)),
        plainArray(kept.map(({ row }) => row.task)),
        plainArray(kept.map(({ next }) => next)),
        textArray(kept.map(({ more }) => more)),
      ]),
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
      SELECT * FROM signalbox.task_live
      WHERE state = 1 AND pool IS NULL AND queue = q.name
      ORDER BY priority DESC, ready_at LIMIT least(q.room, $2::int)
      FOR UPDATE SKIP LOCKED) t WHERE q.room > 0
  ), slotted AS MATERIALIZED (
    SELECT t.* FROM q CROSS JOIN p CROSS JOIN LATERAL (
      SELECT * FROM signalbox.task_live
      WHERE state = 1 AND pool = p.name AND pool IS NOT NULL AND queue = q.name
      ORDER BY priority DESC, ready_at LIMIT least(p.room, q.room, $2::int)
      FOR UPDATE SKIP LOCKED) t WHERE q.room > 0 AND p.room > 0
  ), fitting AS MATERIALIZED (
    SELECT s.*, sum(s.pool_slots) OVER (PARTITION BY s.pool ORDER BY s.priority DESC, s.ready_at, s.run_id, s.task)
             AS used
    FROM slotted s
  ), both_kinds AS MATERIALIZED (
    SELECT run_id, task, attempt, lost, retries_left, priority, ready_at, queue, pool, more, gates, labels
    FROM free
    UNION ALL
    SELECT f.run_id, f.task, f.attempt, f.lost, f.retries_left, f.priority, f.ready_at, f.queue, f.pool, f.more,
           f.gates, f.labels
    FROM fitting f JOIN p ON p.name = f.pool
    WHERE f.used <= p.room
  ), counted AS MATERIALIZED (
    SELECT b.*, row_number() OVER (PARTITION BY b.queue ORDER BY b.priority DESC, b.ready_at) AS nth
    FROM both_kinds b
  )
  SELECT ${PICKED} FROM counted t JOIN q ON q.name = t.queue
  WHERE t.nth <= q.room ORDER BY t.priority DESC, t.ready_at LIMIT $2`;

/** Locks tasks within the limits of queues and pools; exact, whoever else claims at the time. */
export async function pickLimitedTasks(
  tx: Tx,
  queues: readonly string[],
  limit: number,
): Promise<PickedRow[]> {
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
  if (runIds.length === 0) return [];
  const rows = await tx.rows<readonly [string, number]>(MARK_RUNNING, [plainArray(runIds)]);
  return rows.map(([runId, startedAt]) => ({ runId, startedAt }));
}
