/** The tasks of a run: how each stands, what is live, what ended, durable steps. */
import type { RunError } from '../../domain/run.ts';
import { RUNNING } from '../dispatch/task-codes.ts';
import type { Expansion } from '../runs/expansion.ts';
import { unpackTasks } from './bundle.ts';
import type { Tx } from './connection.ts';
import { readHeldOf } from './held.ts';

export interface RunVector {
  readonly versionId: string | null;
  readonly state: string;
  /** Null where the run has ended and all its tasks succeeded. */
  readonly tasks: Buffer | null;
  /** When the run ended. */
  readonly finishedAt: Date | null;
  /** Instances of mapped tasks; null for none. */
  readonly expanded: readonly Expansion[] | null;
}

/** How the tasks of a run stand; undefined where there is no such run. */
export async function readVector(db: Tx, runId: string): Promise<RunVector | undefined> {
  const [row] = await db.query<RunVector>(
    `SELECT r.version_id AS "versionId", r.state, coalesce(l.tasks, r.tasks) AS tasks,
            r.finished_at AS "finishedAt", r.expanded
     FROM signalbox.run r LEFT JOIN signalbox.run_live l ON l.run_id = r.id WHERE r.id = $1`,
    [runId],
  );
  return row;
}

export interface LiveTaskRow {
  readonly task: number;
  readonly state: number;
  readonly attempt: number;
  readonly agent: string | null;
  readonly readyAt: Date;
  readonly startedAt: Date | null;
}

export async function readLiveTasks(db: Tx, runId: string): Promise<LiveTaskRow[]> {
  const [rows, held] = await Promise.all([readLiveRows(db, runId), readHeldOf(db, runId)]);
  const entries = [...(held?.entries.values() ?? [])].map(({ task, attempt, readyAt, at }) => ({
    ...{ task, attempt, state: RUNNING, agent: held?.agent ?? null },
    ...{ readyAt: new Date(readyAt), startedAt: new Date(at) },
  }));
  const others = rows.flatMap(({ more, ...row }) =>
    unpackTasks(more).map((task) => ({ ...row, task })),
  );
  return [...rows, ...others, ...entries];
}

function readLiveRows(db: Tx, runId: string): Promise<(LiveTaskRow & { more: Buffer | null })[]> {
  return db.query<LiveTaskRow & { more: Buffer | null }>(
    `SELECT t.more, t.task, t.state, t.attempt, s.name AS agent, t.ready_at AS "readyAt", t.started_at AS "startedAt"
     FROM signalbox.task_live t LEFT JOIN signalbox.agent_session s ON s.id = t.session_id
     WHERE t.run_id = $1`,
    [runId],
  );
}

export interface LastAttemptRow {
  readonly task: number;
  readonly attempt: number;
  readonly agent: string | null;
  readonly readyAt: Date | null;
  readonly startedAt: Date | null;
  readonly finishedAt: Date;
  readonly error: RunError | null;
  readonly result: unknown;
  /** Ended attempts of the task. */
  readonly count: number;
}

/** Results that are read of one run at once, as PostgreSQL stores them; those of further tasks are left out. */
const MAX_RESULT_BYTES = 33_554_432;

/** The last ended attempt of each task. */
export function readLastEnds(db: Tx, runId: string): Promise<LastAttemptRow[]> {
  return db.query<LastAttemptRow>(
    `SELECT task, attempt, agent, "readyAt", "startedAt", "finishedAt", error, count,
            CASE WHEN sum(bytes) OVER (ORDER BY task) <= $2 THEN result END AS result
     FROM (
       SELECT DISTINCT ON (task) task, attempt, agent, ready_at AS "readyAt", started_at AS "startedAt",
              finished_at AS "finishedAt", error, result, coalesce(pg_column_size(result), 0) AS bytes,
              count(*) OVER (PARTITION BY task)::int AS count
       FROM signalbox.task_log WHERE run_id = $1 ORDER BY task, attempt DESC) last
     ORDER BY task`,
    [runId, MAX_RESULT_BYTES],
  );
}

/**
 * Result of the attempt that succeeded; undefined where none has, and where the task was cleared or marked otherwise
 * since.
 */
export async function readTaskResult(
  db: Tx,
  runId: string,
  task: number,
): Promise<{ result: unknown } | undefined> {
  const [row] = await db.query<{ result: unknown }>(
    `SELECT l.result FROM signalbox.task_log l
     WHERE l.run_id = $1 AND l.task = $2 AND l.state = 2 AND NOT EXISTS (
       SELECT FROM signalbox.run r LEFT JOIN signalbox.run_live v ON v.run_id = r.id
       WHERE r.id = $1 AND octet_length(coalesce(v.tasks, r.tasks)) > $2
         AND get_byte(coalesce(v.tasks, r.tasks), $2) <> 2)
     ORDER BY l.attempt DESC LIMIT 1`,
    [runId, task],
  );
  return row;
}

/** Results of attempts that succeeded, of so many tasks from `first` on, in their order. */
export function readTaskResults(
  db: Tx,
  runId: string,
  first: number,
  count: number,
): Promise<{ task: number; result: unknown }[]> {
  return db.query<{ task: number; result: unknown }>(
    `SELECT DISTINCT ON (task) task, result FROM signalbox.task_log
     WHERE run_id = $1 AND task >= $2 AND task < $2 + $3 AND state = 2 ORDER BY task, attempt DESC`,
    [runId, first, count],
  );
}

/** Bytes that these results take in the table. */
export async function readResultBytes(
  db: Tx,
  runId: string,
  first: number,
  count: number,
): Promise<number> {
  const [row] = await db.query<{ bytes: number }>(
    `SELECT coalesce(sum(pg_column_size(result)), 0)::float8 AS bytes FROM signalbox.task_log
     WHERE run_id = $1 AND task >= $2 AND task < $2 + $3 AND state = 2`,
    [runId, first, count],
  );
  return row?.bytes ?? 0;
}

/** Result of a run that has ended; null for none. */
export async function readRunResult(db: Tx, runId: string): Promise<unknown> {
  const [row] = await db.query<{ result: unknown }>(
    'SELECT result FROM signalbox.run WHERE id = $1',
    [runId],
  );
  return row?.result ?? null;
}
