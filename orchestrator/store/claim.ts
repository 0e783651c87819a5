/**
 * Claiming: ready tasks become running in the hands of sessions, highest priority first, then the oldest. They are
 * picked in one of two ways, a fast one for tasks that nothing limits, and one under locks for the others
 * (`claim-limited.ts`); then taken by key.
 */

import { packTasks, unpackTasks } from './bundle.ts';
import { type DefinedFilter, definedSql, definedValues, readyColumns } from './claim-defined.ts';
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
  /** Tasks that may start in its queue, and in all; absent where nothing limits them. */
  readonly room?: { readonly ofQueue: number; readonly ofAll: number };
}

/** A task in the hands of a session. */
export interface ClaimedTask extends PickedTask {
  readonly sessionId: string;
  readonly token: string;
}

const NOT_LIMITED = `NOT EXISTS (
  SELECT FROM signalbox.queue
  WHERE (name = q.name OR name = '*') AND (paused OR coalesce(concurrency, rate_count) IS NOT NULL))`;

const PICKED = `
  t.run_id, t.task, t.attempt, t.lost, t.retries_left, (extract(epoch FROM t.ready_at) * 1000)::float8,
  t.queue, t.priority, coalesce(t.pool, t.gates::text, t.labels::text) IS NOT NULL, t.more`;
const pickSql = (filter: DefinedFilter | undefined) => {
  const { state, queue } = readyColumns(filter);
  const defined = filter === undefined ? '' : definedSql(filter, 3);
  return (columns: string) => `
  SELECT ${columns}
  FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
    SELECT * FROM signalbox.task_live
    WHERE ${state} = 1 AND pool IS NULL AND ${queue} = q.name AND ${NOT_LIMITED}${defined}
    ORDER BY priority DESC, ready_at LIMIT $2
    FOR UPDATE SKIP LOCKED) t
  ORDER BY t.priority DESC, t.ready_at LIMIT $2`;
};

const PICK = pickSql(undefined);

/** Locks tasks that nothing limits, in the order in which they should start. */
export function pickTasks(
  tx: Tx,
  queues: readonly string[],
  limit: number,
  filter: DefinedFilter | undefined,
): Promise<PickedRow[]> {
  if (filter === undefined) return pickRows(tx, PICK, [textArray(queues), limit]);
  return pickRows(tx, pickSql(filter), [textArray(queues), limit, ...definedValues(filter)]);
}

/** What a statement gives of each row; a limited one tells besides how much room its queue has, and all of them. */
type Picked = readonly [
  ...[string, number, number, number, number, number, string, number, boolean, Buffer | null],
  ...([] | [number, number]),
];

/**
 * Rows of ready tasks that a statement locks.
 * @param sql makes the statement of the columns of the tasks, `t`, that it is to give
 */
export async function pickRows(
  tx: Tx,
  sql: (columns: string) => string,
  values: readonly (string | number)[],
): Promise<PickedRow[]> {
  const rows = await tx.rows<Picked>(sql(PICKED), [...values]);
  return rows.map((row) => {
    const [runId, task, attempt, lost, retriesLeft, readyAt, queue, priority, pool, more] = row;
    const [, , , , , , , , , , ofQueue, ofAll] = row;
    return {
      ...{ runId, task, attempt, lost, retriesLeft, readyAt, queue, priority, pool },
      more: unpackTasks(more),
      ...(ofQueue === undefined || ofAll === undefined ? {} : { room: { ofQueue, ofAll } }),
    };
  });
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
