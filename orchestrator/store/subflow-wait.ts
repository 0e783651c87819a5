/**
 * Table `subflow_wait`: suspended tasks and the runs that they wait for. A run that ends does nothing for it; what
 * waited is found by who hears of the end, and by a look at all of them now and then. Which of them the task was
 * waiting for it finds out itself, so that all its rows go when it is woken.
 */
import { plainArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Whether one of the runs has ended, or is gone. */
export async function hasEnded(tx: Tx, runIds: readonly string[]): Promise<boolean> {
  if (runIds.length === 0) return false;
  const [row] = await tx.query<{ ended: boolean }>(
    `SELECT EXISTS (
       SELECT FROM unnest($1::uuid[]) AS g (id) LEFT JOIN signalbox.run r ON r.id = g.id
       WHERE r.state IS DISTINCT FROM 'active') AS ended`,
    [plainArray(runIds)],
  );
  return row?.ended ?? false;
}

export async function insertSubflowWaits(
  tx: Tx,
  of: { readonly runId: string; readonly task: number },
  children: readonly string[],
): Promise<void> {
  if (children.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.subflow_wait (run_id, task, child_run_id)
     SELECT $1, $2, c FROM unnest($3::uuid[]) AS c ON CONFLICT DO NOTHING`,
    [of.runId, of.task, plainArray(children)],
  );
}

export async function hasSubflowWaits(db: Tx): Promise<boolean> {
  return (await db.rows('SELECT 1 FROM signalbox.subflow_wait LIMIT 1')).length > 0;
}

/** Never waits for a lock: what a cancellation or a pause holds is looked at again. */
const wakeSql = (which: string) => `
  WITH ended AS MATERIALIZED (
    SELECT DISTINCT w.run_id, w.task FROM signalbox.subflow_wait w
    LEFT JOIN signalbox.run r ON r.id = w.child_run_id
    WHERE r.state IS DISTINCT FROM 'active' ${which} LIMIT $1
  ), due AS MATERIALIZED (
    SELECT t.run_id, t.task FROM ended e
    JOIN signalbox.task_live t ON t.run_id = e.run_id AND t.task = e.task
    WHERE t.state IN (4, 14) FOR UPDATE OF t SKIP LOCKED
  ), woken AS (
    UPDATE signalbox.task_live t SET state = t.state - 3, ready_at = clock_timestamp()
    FROM due d WHERE t.run_id = d.run_id AND t.task = d.task RETURNING t.run_id, t.queue
  ), gone AS (
    DELETE FROM signalbox.subflow_wait w USING ended e
    WHERE w.run_id = e.run_id AND w.task = e.task AND (
      EXISTS (SELECT FROM due d WHERE d.run_id = e.run_id AND d.task = e.task)
      OR NOT EXISTS (
        SELECT FROM signalbox.task_live t
        WHERE t.run_id = e.run_id AND t.task = e.task AND t.state IN (4, 14)))
  )
  SELECT run_id, queue FROM woken`;
const WAKE_ALL = wakeSql('');
const WAKE_SOME = wakeSql('AND w.child_run_id = ANY($2::uuid[])');

export interface Woken {
  readonly runId: string;
  readonly queue: string;
}

/**
 * Makes tasks ready that wait for runs which have ended; those of a paused run once it is resumed.
 * @param children only such as wait for these; null for all
 */
export async function wakeAfterRuns(
  db: Tx,
  children: readonly string[] | null,
  limit: number,
): Promise<Woken[]> {
  const rows = await (children === null
    ? db.rows<readonly [string, string]>(WAKE_ALL, [limit])
    : db.rows<readonly [string, string]>(WAKE_SOME, [limit, plainArray(children)]));
  return rows.map(([runId, queue]) => ({ runId, queue }));
}
