/** Rows of `task_live`: what is ready, waits for a retry, or runs. */
import type { EpochMs } from '../../domain/time.ts';
import { READY } from '../dispatch/task-codes.ts';
import type { TaskLimits } from '../limits/gates.ts';
import { packTasks } from './bundle.ts';
import type { ClaimedTask, PickedRow } from './claim.ts';
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
  /** Absent for nearly all. */
  readonly limits?: TaskLimits;
}

/** Whether it may go straight to an agent, without a claim. */
export function mayHandOn({ state, pool, limits }: NewLiveTask): boolean {
  return state === READY && pool === null && limits === undefined;
}

const INSERT = `
  INSERT INTO signalbox.task_live (
    run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id, token,
    ready_at, started_at, more)
  SELECT run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id, token,
         statement_timestamp() + make_interval(secs => delay_ms / 1000),
         CASE WHEN state = 2 THEN statement_timestamp() END, more
  FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::smallint[],
              $8::smallint[], $9::smallint[], $10::smallint[], $11::bigint[], $12::bigint[], $13::float8[], $14::bytea[])
    AS t (run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id,
          token, delay_ms, more)`;

/** As `INSERT`, of tasks that have limits; a trigger of the table decides where they stand. */
const INSERT_LIMITED = `
  INSERT INTO signalbox.task_live (
    run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id, token,
    ready_at, started_at, more, gates, gate_limits, labels)
  SELECT run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id, token,
         statement_timestamp() + make_interval(secs => delay_ms / 1000),
         CASE WHEN state = 2 THEN statement_timestamp() END, more, string_to_array(gates, E'\\x1f'),
         string_to_array(gate_limits, E'\\x1f')::int[], string_to_array(labels, E'\\x1f')
  FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::text[], $5::smallint[], $6::text[], $7::smallint[],
              $8::smallint[], $9::smallint[], $10::smallint[], $11::bigint[], $12::bigint[], $13::float8[], $14::bytea[],
              $15::text[], $16::text[], $17::text[])
    AS t (run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, session_id,
          token, delay_ms, more, gates, gate_limits, labels)`;

interface BundledTask extends NewLiveTask {
  readonly more: string | null;
}

/** Tasks that one row stands for at most. */
const MAX_BUNDLE = 1_000;

/** Ready first attempts of a run that are alike share a row. */
function bundled(tasks: readonly NewLiveTask[]): readonly BundledTask[] {
  const rows: { first: NewLiveTask; others: number[] }[] = [];
  let open: { first: NewLiveTask; others: number[] } | undefined;
  for (const task of tasks) {
    if (open && open.others.length < MAX_BUNDLE && mayShare(open.first, task)) {
      open.others.push(task.task);
      continue;
    }
    const row = { first: task, others: [] };
    rows.push(row);
    if (mayHandOn(task) && task.attempt === 1) open = row;
  }
  return rows.map(({ first, others }) => ({ ...first, more: packTasks(others) }));
}

function mayShare(one: NewLiveTask, other: NewLiveTask): boolean {
  return (
    one.runId === other.runId &&
    mayHandOn(other) &&
    other.attempt === 1 &&
    one.queue === other.queue &&
    one.priority === other.priority &&
    one.retriesLeft === other.retriesLeft
  );
}

export async function insertLiveTasks(tx: Tx, given: readonly NewLiveTask[]): Promise<void> {
  if (given.length === 0) return;
  const limited = given.filter(({ limits }) => limits !== undefined);
  if (limited.length === 0) return insertRows(tx, INSERT, bundled(given));
  const plain = given.filter(({ limits }) => limits === undefined);
  const rows = limited.map((task) => ({ ...task, more: null }));
  await Promise.all([
    plain.length > 0 && insertRows(tx, INSERT, bundled(plain)),
    insertRows(tx, INSERT_LIMITED, rows, limitColumns(limited)),
  ]);
}

/** Between the texts of a list. */
const BETWEEN = '\x1f';

function limitColumns(tasks: readonly NewLiveTask[]): string[] {
  const joined = (texts: readonly (string | number)[] | undefined) =>
    texts === undefined || texts.length === 0 ? null : texts.join(BETWEEN);
  return [
    textArray(tasks.map(({ limits }) => joined(limits?.gates.map(({ name }) => name)))),
    textArray(tasks.map(({ limits }) => joined(limits?.gates.map(({ limit }) => limit)))),
    textArray(tasks.map(({ limits }) => joined(limits?.labels))),
  ];
}

async function insertRows(
  tx: Tx,
  sql: string,
  tasks: readonly BundledTask[],
  further: readonly string[] = [],
): Promise<void> {
  await tx.execute(sql, [
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
    textArray(tasks.map((task) => task.more)),
    ...further,
  ]);
}

const INSERT_RUNNING = `
  INSERT INTO signalbox.task_live (
    run_id, task, state, queue, priority, attempt, retries_left, lost, session_id, token, ready_at, started_at)
  SELECT run_id, task, 2, queue, priority, attempt, retries_left, lost, session_id, token,
         to_timestamp(ready_ms / 1000), statement_timestamp()
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::smallint[], $5::smallint[], $6::smallint[], $7::smallint[],
              $8::bigint[], $9::bigint[], $10::float8[])
    AS t (run_id, task, queue, priority, attempt, retries_left, lost, session_id, token, ready_ms)`;

/** Rows of tasks that were taken out of a row that stood for several. */
export async function insertRunning(
  tx: Tx,
  claimed: readonly (ClaimedTask & { readonly row: PickedRow })[],
): Promise<void> {
  if (claimed.length === 0) return;
  await tx.execute(INSERT_RUNNING, [
    plainArray(claimed.map(({ runId }) => runId)),
    plainArray(claimed.map(({ task }) => task)),
    textArray(claimed.map(({ row }) => row.queue)),
    plainArray(claimed.map(({ row }) => row.priority)),
    plainArray(claimed.map(({ attempt }) => attempt)),
    plainArray(claimed.map(({ row }) => row.retriesLeft)),
    plainArray(claimed.map(({ lost }) => lost)),
    plainArray(claimed.map(({ sessionId }) => sessionId)),
    plainArray(claimed.map(({ token }) => token)),
    plainArray(claimed.map(({ row }) => row.readyAt)),
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
