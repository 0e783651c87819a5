/** Rows of `task_live`: what is ready, waits for a retry, or runs. */
import type { EpochMs } from '../../domain/time.ts';
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** A row to insert. `sessionId` and `token` are there where it starts as running. */
export interface NewLiveTask {
  readonly runId: string;
  readonly task: number;
  readonly state: number;
  readonly queue: string;
  readonly priority: number;
  readonly pool: string | null;
  readonly poolSlots: number;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
  readonly sessionId: string | null;
  readonly token: string | null;
  /** Delay until it is ready, from the database's own now; 0 for at once. */
  readonly delayMs: number;
}

const INSERT = `
  INSERT INTO signalbox.task_live (
    run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id, token,
    ready_at, started_at)
  SELECT run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id, token,
         statement_timestamp() + make_interval(secs => delay_ms / 1000),
         CASE WHEN state = 2 THEN statement_timestamp() END
  FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::smallint[],
              $8::smallint[], $9::smallint[], $10::smallint[], $11::bigint[], $12::bigint[], $13::float8[])
    AS t (run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id,
          token, delay_ms)`;

export async function insertLiveTasks(tx: Tx, tasks: readonly NewLiveTask[]): Promise<void> {
  if (tasks.length === 0) return;
  await tx.execute(INSERT, [
    plainArray(tasks.map((task) => task.runId)),
    plainArray(tasks.map((task) => task.task)),
    plainArray(tasks.map((task) => task.state)),
    textArray(tasks.map((task) => task.queue)),
    plainArray(tasks.map((task) => task.priority)),
    textArray(tasks.map((task) => task.pool)),
    plainArray(tasks.map((task) => task.poolSlots)),
    plainArray(tasks.map((task) => task.attempt)),
    plainArray(tasks.map((task) => task.retriesLeft)),
    plainArray(tasks.map((task) => task.lost)),
    plainArray(tasks.map((task) => task.sessionId)),
    plainArray(tasks.map((task) => task.token)),
    plainArray(tasks.map((task) => task.delayMs)),
  ]);
}

/** A held row that was deleted since its attempt ended. */
export interface EndedRow {
  /** Index into what was asked for. */
  readonly place: number;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
  readonly readyAt: EpochMs;
  readonly startedAt: EpochMs;
  /** It stood in its run's row, and had none of its own. */
  readonly held?: boolean;
}

/**
 * Only a running task has a token. That it runs is not asked for besides: statistics that saw the table empty would
 * then prefer to read all running tasks by their partial index, for each batch anew.
 */
const DELETE_HELD = `
  DELETE FROM signalbox.task_live t
  USING unnest($1::uuid[], $2::int[], $3::bigint[]) WITH ORDINALITY AS e (run_id, task, token, place)
  WHERE t.run_id = e.run_id AND t.task = e.task AND t.token = e.token
  RETURNING e.place::int, t.attempt, t.retries_left, t.lost,
            (extract(epoch FROM t.ready_at) * 1000)::float8, (extract(epoch FROM t.started_at) * 1000)::float8`;

/** Deletes those rows whose token is the one that holds the task; the others are not told. */
export async function deleteHeld(
  tx: Tx,
  held: readonly { runId: string; task: number; token: string }[],
): Promise<EndedRow[]> {
  const rows = await tx.rows<readonly [number, number, number, number, number, number]>(
    DELETE_HELD,
    [
      plainArray(held.map(({ runId }) => runId)),
      plainArray(held.map(({ task }) => task)),
      plainArray(held.map(({ token }) => token)),
    ],
  );
  return rows.map(([place, attempt, retriesLeft, lost, readyAt, startedAt]) => ({
    place: place - 1,
    attempt,
    retriesLeft,
    lost,
    readyAt,
    startedAt,
  }));
}
