/** Cancelling a run, retrying it, and letting one begin that waited for room: statements on one run or few. */
import type { RunError, RunState } from '../../domain/run.ts';
import type { Expansion } from '../runs/expansion.ts';
import { byteaText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Asks for the end of these tasks, which run. */
export async function markCancelling(
  tx: Tx,
  runId: string,
  tasks: readonly number[],
  reason: string,
): Promise<void> {
  if (tasks.length === 0) return;
  await tx.execute(
    'UPDATE signalbox.task_live SET cancel_reason = $3 WHERE run_id = $1 AND task = ANY($2::int[])',
    [runId, plainArray(tasks), reason],
  );
}

export async function setCancelling(
  tx: Tx,
  runId: string,
  tasks: Uint8Array,
  reason: string,
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.run_live SET tasks = $2, cancel_reason = $3, cancelled_at = clock_timestamp()
     WHERE run_id = $1`,
    [runId, Buffer.from(tasks), reason],
  );
}

/** Unfinished subflows of a run. */
export async function findLiveChildren(tx: Tx, runId: string): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(
    `SELECT id FROM signalbox.run WHERE parent_run_id = $1 AND state = 'active'`,
    [runId],
  );
  return rows.map(([id]) => id);
}

export interface EndedRun {
  readonly id: string;
  readonly workflow: string;
  readonly engine: string;
  readonly state: RunState | 'active';
  readonly priority: number;
  readonly versionId: string | null;
  /** How its tasks ended; null where all succeeded. */
  readonly tasks: Buffer | null;
  readonly error: RunError | null;
  /** Instances of mapped tasks; null for none. */
  readonly expanded: readonly Expansion[] | null;
}

/** Locks the row of a run; undefined where there is none. */
export async function lockRun(tx: Tx, runId: string): Promise<EndedRun | undefined> {
  const [row] = await tx.query<EndedRun>(
    `SELECT id, workflow, engine, state, priority, version_id AS "versionId", tasks, error, expanded
     FROM signalbox.run WHERE id = $1 FOR UPDATE`,
    [runId],
  );
  return row;
}

/** Makes an ended run live again. @param keepResult whether the task that it is of does not run again */
export async function reopenRun(tx: Tx, runId: string, keepResult: boolean): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.run SET state = 'active', finished_at = NULL, error = NULL,
       result = CASE WHEN $2 THEN result END, tasks = NULL
     WHERE id = $1`,
    [runId, keepResult],
  );
}

/** The last attempt of each task that had one, by run and task. */
export async function readLastAttempts(
  tx: Tx,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
  const rows = await tx.rows<readonly [string, number, number]>(
    `SELECT run_id, task, max(attempt)::int FROM signalbox.task_log
     WHERE run_id = ANY($1::uuid[]) GROUP BY run_id, task`,
    [plainArray(runIds)],
  );
  const byRun = new Map<string, Map<number, number>>();
  for (const [runId, task, attempt] of rows) {
    const tasks = byRun.get(runId) ?? new Map<number, number>();
    byRun.set(runId, tasks.set(task, attempt));
  }
  return byRun;
}

export interface ScheduledRun {
  readonly runId: string;
  readonly tasks: Buffer;
  readonly expanded: readonly Expansion[] | null;
}

/** Locks the next runs that wait for room, and for nothing else. */
export function lockScheduled(tx: Tx, workflow: string, limit: number): Promise<ScheduledRun[]> {
  return tx.query<ScheduledRun>(
    `SELECT run_id AS "runId", tasks, expanded FROM signalbox.run_live
     WHERE workflow = $1 AND state = 'scheduled' AND cancel_reason IS NULL AND paused_at IS NULL
       AND NOT EXISTS (SELECT FROM signalbox.run_hold h WHERE h.run_id = run_live.run_id)
       AND NOT EXISTS (SELECT FROM signalbox.run_key k WHERE k.run_id = run_live.run_id AND NOT k.held)
     ORDER BY priority DESC, run_id LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [workflow, limit],
  );
}

/** Lets scheduled runs begin, with these vectors. */
export async function queueRuns(
  tx: Tx,
  runs: readonly { runId: string; tasks: Uint8Array }[],
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.run_live r SET state = 'queued', tasks = c.tasks
     FROM unnest($1::uuid[], $2::bytea[]) AS c (run_id, tasks) WHERE r.run_id = c.run_id`,
    [
      plainArray(runs.map(({ runId }) => runId)),
      textArray(runs.map(({ tasks }) => byteaText(tasks))),
    ],
  );
}
