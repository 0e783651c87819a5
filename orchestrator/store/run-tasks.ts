/** The tasks of a run: how each stands, what is live, what ended, durable steps. */
import type { RunError } from '../../domain/run.ts';
import { RUNNING } from '../dispatch/task-codes.ts';
import type { Tx } from './connection.ts';
import { readHeldOf } from './held.ts';

export interface RunVector {
  readonly versionId: string | null;
  readonly state: string;
  /** Null where the run has ended and all its tasks succeeded. */
  readonly tasks: Buffer | null;
  /** When the run ended. */
  readonly finishedAt: Date | null;
}

/** How the tasks of a run stand; undefined where there is no such run. */
export async function readVector(db: Tx, runId: string): Promise<RunVector | undefined> {
  const [row] = await db.query<RunVector>(
    `SELECT r.version_id AS "versionId", r.state, coalesce(l.tasks, r.tasks) AS tasks,
            r.finished_at AS "finishedAt"
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
  const entries = [...(held?.entries.values() ?? [])].map(({ task, attempt, at }) => ({
    ...{ task, attempt, state: RUNNING, agent: held?.agent ?? null },
    ...{ readyAt: new Date(at), startedAt: new Date(at) },
  }));
  return [...rows, ...entries];
}

function readLiveRows(db: Tx, runId: string): Promise<LiveTaskRow[]> {
  return db.query<LiveTaskRow>(
    `SELECT t.task, t.state, t.attempt, s.name AS agent, t.ready_at AS "readyAt", t.started_at AS "startedAt"
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
}

/** The last ended attempt of each task. */
export function readLastEnds(db: Tx, runId: string): Promise<LastAttemptRow[]> {
  return db.query<LastAttemptRow>(
    `SELECT DISTINCT ON (task) task, attempt, agent, ready_at AS "readyAt", started_at AS "startedAt",
            finished_at AS "finishedAt", error, result
     FROM signalbox.task_log WHERE run_id = $1 ORDER BY task, attempt DESC`,
    [runId],
  );
}

/** Result of the attempt that succeeded; undefined where none has. */
export async function readTaskResult(
  db: Tx,
  runId: string,
  task: number,
): Promise<{ result: unknown } | undefined> {
  const [row] = await db.query<{ result: unknown }>(
    `SELECT result FROM signalbox.task_log
     WHERE run_id = $1 AND task = $2 AND state = 2 ORDER BY attempt DESC LIMIT 1`,
    [runId, task],
  );
  return row;
}

/** Result of a run that has ended; null for none. */
export async function readRunResult(db: Tx, runId: string): Promise<unknown> {
  const [row] = await db.query<{ result: unknown }>(
    'SELECT result FROM signalbox.run WHERE id = $1',
    [runId],
  );
  return row?.result ?? null;
}
