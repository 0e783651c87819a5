/** Statements of what people do to single runs: never part of dispatch, each on one run. */
import type { RunError, RunState } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** A row of `task_live`: ready, waiting for a retry, or running. */
export interface LiveTask {
  readonly task: number;
  readonly state: number;
  readonly attempt: number;
  readonly retriesLeft: number;
  /** Null unless it runs. */
  readonly token: string | null;
  readonly sessionId: string | null;
  readonly agent: string | null;
  readonly readyAt: EpochMs;
  readonly startedAt: EpochMs | null;
}

/** Locks what of a run is ready, waits or runs; the caller holds the run's own lock. */
export function lockLiveTasks(tx: Tx, runId: string): Promise<LiveTask[]> {
  return tx.query<LiveTask>(
    `SELECT t.task, t.state, t.attempt, t.retries_left AS "retriesLeft", t.token, t.session_id AS "sessionId",
            (SELECT s.name FROM signalbox.agent_session s WHERE s.id = t.session_id) AS agent,
            (extract(epoch FROM t.ready_at) * 1000)::float8 AS "readyAt",
            (extract(epoch FROM t.started_at) * 1000)::float8 AS "startedAt"
     FROM signalbox.task_live t WHERE t.run_id = $1 ORDER BY t.task FOR UPDATE OF t`,
    [runId],
  );
}

/** Takes these tasks out of `task_live`, whoever holds them. */
export async function deleteLiveTasks(
  tx: Tx,
  runId: string,
  tasks: readonly number[],
): Promise<void> {
  if (tasks.length === 0) return;
  await tx.execute('DELETE FROM signalbox.task_live WHERE run_id = $1 AND task = ANY($2::int[])', [
    runId,
    plainArray(tasks),
  ]);
}

/** An assignment that was taken from its agent. */
export interface RevokedTask {
  readonly sessionId: string;
  readonly token: string;
  readonly task: number;
}

/** Agents were told for ten minutes; this is long after. */
const FORGOTTEN_AFTER = `interval '1 hour'`;
const MAX_FORGOTTEN = 1_000;

/** Has the agents told to stop these, and forgets what they were told long ago. */
export async function insertRevoked(
  tx: Tx,
  runId: string,
  revoked: readonly RevokedTask[],
  reason: string,
): Promise<void> {
  if (revoked.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.task_revoked (session_id, token, run_id, task, reason)
     SELECT session_id, token, $1::uuid, task, $2
     FROM unnest($3::bigint[], $4::bigint[], $5::int[]) AS r (session_id, token, task)
     ON CONFLICT (session_id, token) DO NOTHING`,
    [
      ...[runId, reason],
      plainArray(revoked.map(({ sessionId }) => sessionId)),
      plainArray(revoked.map(({ token }) => token)),
      plainArray(revoked.map(({ task }) => task)),
    ],
  );
  await tx.execute(
    `DELETE FROM signalbox.task_revoked WHERE (session_id, token) IN (
       SELECT session_id, token FROM signalbox.task_revoked
       WHERE at < clock_timestamp() - ${FORGOTTEN_AFTER} LIMIT ${MAX_FORGOTTEN} FOR UPDATE SKIP LOCKED)`,
  );
}

/** The end of an attempt that somebody decided by hand. It has no token, so that no completion is taken for it. */
export interface DecidedAttempt {
  readonly task: number;
  readonly attempt: number;
  readonly code: number;
  readonly agent: string | null;
  readonly readyAt: EpochMs | null;
  readonly startedAt: EpochMs | null;
  readonly finishedAt: EpochMs;
  readonly result: unknown;
  readonly error: RunError | null;
}

export async function insertDecidedAttempts(
  tx: Tx,
  runId: string,
  attempts: readonly DecidedAttempt[],
): Promise<void> {
  if (attempts.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.task_log (
       run_id, task, attempt, state, agent, ready_at, started_at, finished_at, result, error)
     SELECT $1::uuid, task, attempt, state, agent, to_timestamp(ready_ms / 1000), to_timestamp(started_ms / 1000),
            to_timestamp(finished_ms / 1000), result, error
     FROM unnest($2::int[], $3::smallint[], $4::smallint[], $5::text[], $6::float8[], $7::float8[], $8::float8[],
                 $9::jsonb[], $10::jsonb[])
       AS e (task, attempt, state, agent, ready_ms, started_ms, finished_ms, result, error)`,
    [
      runId,
      plainArray(attempts.map(({ task }) => task)),
      plainArray(attempts.map(({ attempt }) => attempt)),
      plainArray(attempts.map(({ code }) => code)),
      textArray(attempts.map(({ agent }) => agent)),
      plainArray(attempts.map(({ readyAt }) => readyAt)),
      plainArray(attempts.map(({ startedAt }) => startedAt)),
      plainArray(attempts.map(({ finishedAt }) => finishedAt)),
      textArray(attempts.map(({ result }) => jsonText(result))),
      textArray(attempts.map(({ error }) => jsonText(error))),
    ],
  );
}

/** Stores how a live run stands, without making it count as started. */
export async function setLiveRun(
  tx: Tx,
  run: { runId: string; state: RunState; tasks: Uint8Array; error: RunError | null },
): Promise<void> {
  await tx.execute(
    'UPDATE signalbox.run_live SET state = $2, tasks = $3, error = $4::jsonb WHERE run_id = $1',
    [run.runId, run.state, Buffer.from(run.tasks), jsonText(run.error)],
  );
}

/** Stores the result of a run that goes on: of its last task, which was ended or cleared by hand. */
export async function setRunResult(tx: Tx, runId: string, result: unknown): Promise<void> {
  await tx.execute('UPDATE signalbox.run SET result = $2::jsonb WHERE id = $1', [
    runId,
    jsonText(result),
  ]);
}

/** Stores how an ended run stands now; it stays ended. */
export async function setEndedRun(
  tx: Tx,
  run: {
    runId: string;
    state: RunState;
    tasks: Uint8Array | null;
    error: RunError | null;
    result: unknown;
  },
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.run SET state = $2, tasks = $3, error = $4::jsonb, result = $5::jsonb WHERE id = $1`,
    [
      ...[run.runId, run.state, run.tasks && Buffer.from(run.tasks)],
      ...[jsonText(run.error), jsonText(run.result)],
    ],
  );
}

/** Notes who did what. */
export async function insertRunAction(
  tx: Tx,
  action: {
    readonly runId: string;
    readonly at: EpochMs;
    readonly actor: string;
    readonly action: string;
    readonly reason: string | null;
    readonly detail: Readonly<Record<string, unknown>>;
  },
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.run_action (run_id, at, actor, action, reason, detail)
     VALUES ($1, to_timestamp($2::float8 / 1000), $3, $4, $5, $6::jsonb)`,
    [
      ...[action.runId, action.at, action.actor, action.action],
      ...[action.reason, jsonText(action.detail)],
    ],
  );
}

const PAUSE = `
  UPDATE signalbox.run_live SET paused_at = clock_timestamp(), paused_by = $2
  WHERE run_id = $1 AND paused_at IS NULL`;
const HOLD_TASKS = `
  UPDATE signalbox.task_live SET state = state + 10
  WHERE run_id = $1 AND state <> 2 AND state < 10`;
const RESUME = `
  UPDATE signalbox.run_live SET paused_at = NULL, paused_by = NULL
  WHERE run_id = $1 AND paused_at IS NOT NULL`;
const RELEASE_TASKS = `
  UPDATE signalbox.task_live SET state = state - 10
  WHERE run_id = $1 AND state >= 10 RETURNING queue`;

/** Pauses a run whose lock is held. @returns false where it was paused before */
export async function pauseLiveRun(tx: Tx, runId: string, actor: string): Promise<boolean> {
  const changed = (await tx.execute(PAUSE, [runId, actor])) > 0;
  await tx.execute(HOLD_TASKS, [runId]);
  return changed;
}

/** Lets a run go on whose lock is held. @returns queues of its tasks; null where it was not paused */
export async function resumeLiveRun(tx: Tx, runId: string): Promise<ReadonlySet<string> | null> {
  if ((await tx.execute(RESUME, [runId])) === 0) return null;
  const rows = await tx.rows<readonly [string]>(RELEASE_TASKS, [runId]);
  return new Set(rows.map(([queue]) => queue));
}

/** Whatever of paused runs is to be claimed all the same: handed back in the moment of the pause. */
export async function holdStrayTasks(tx: Tx): Promise<number> {
  return tx.execute(
    `UPDATE signalbox.task_live t SET state = t.state + 10
     WHERE t.state <> 2 AND t.state < 10
       AND t.run_id IN (SELECT run_id FROM signalbox.run_live WHERE paused_at IS NOT NULL)`,
  );
}
