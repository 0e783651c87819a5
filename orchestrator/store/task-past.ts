/**
 * Tasks that wait for themselves in the scheduled run before (`dependsOnPast`). They have a row of `task_live` in a
 * state of their own, which no claim finds; here they become ready.
 */
import { NOT_CHOSEN, READY, SKIPPED, SUCCEEDED, WAITS_FOR_PAST } from '../dispatch/task-codes.ts';
import type { Tx } from './connection.ts';

/**
 * Ready are those whose run is by no schedule, or the first one of it; those that the run before does not have; and
 * those that succeeded there, or were skipped. A run that was skipped as a whole does not count. Never waits for a
 * lock: what a cancellation or a pause holds is looked at again.
 */
const RELEASE = `
  WITH waiting AS MATERIALIZED (
    SELECT t.run_id, t.task, r.workflow, r.trigger, r.logical_date, v.graph -> 'tasks' -> t.task ->> 'key' AS key,
           coalesce((v.graph -> 'tasks' -> t.task ->> 'waitForDownstream')::boolean, false) AS downstream
    FROM signalbox.task_live t
    JOIN signalbox.run r ON r.id = t.run_id
    JOIN signalbox.workflow_version v ON v.id = r.version_id
    WHERE t.state = ${WAITS_FOR_PAST} LIMIT $1 FOR UPDATE OF t SKIP LOCKED
  ), free AS MATERIALIZED (
    SELECT w.run_id, w.task
    FROM waiting w
    LEFT JOIN LATERAL (
      SELECT p.id, p.state, p.version_id, p.tasks FROM signalbox.run p
      WHERE w.trigger = 'schedule' AND p.workflow = w.workflow AND p.trigger = 'schedule'
        AND p.state <> 'skipped' AND p.logical_date < w.logical_date
      ORDER BY p.logical_date DESC LIMIT 1) p ON true
    LEFT JOIN LATERAL (
      SELECT (e.place - 1)::int AS place
      FROM signalbox.workflow_version pv
      CROSS JOIN LATERAL jsonb_array_elements(pv.graph -> 'tasks') WITH ORDINALITY AS e (task, place)
      WHERE pv.id = p.version_id AND e.task ->> 'key' = w.key) i ON true
    LEFT JOIN signalbox.run_live l ON l.run_id = p.id
    CROSS JOIN LATERAL (SELECT coalesce(l.tasks, p.tasks) AS tasks) s
    WHERE p.id IS NULL OR i.place IS NULL OR CASE
      WHEN s.tasks IS NULL THEN p.state = 'succeeded'
      WHEN i.place < length(s.tasks)
        THEN get_byte(s.tasks, i.place) IN (${SUCCEEDED}, ${SKIPPED}, ${NOT_CHOSEN}) AND NOT (w.downstream AND EXISTS (
          SELECT FROM signalbox.workflow_version dv
          CROSS JOIN LATERAL jsonb_array_elements(dv.graph -> 'tasks') WITH ORDINALITY AS d (task, place)
          WHERE dv.id = p.version_id AND d.task -> 'after' @> to_jsonb(i.place)
            AND get_byte(s.tasks, (d.place - 1)::int) NOT IN (${SUCCEEDED}, ${SKIPPED}, ${NOT_CHOSEN})))
      ELSE false END
  )
  UPDATE signalbox.task_live t SET state = ${READY}, ready_at = clock_timestamp()
  FROM free f WHERE t.run_id = f.run_id AND t.task = f.task AND t.state = ${WAITS_FOR_PAST}
  RETURNING t.queue`;

const SOME = `SELECT FROM signalbox.task_live WHERE state = ${WAITS_FOR_PAST} LIMIT 1`;

/** @returns queues in which tasks became ready */
export async function releasePast(db: Tx, limit: number): Promise<ReadonlySet<string>> {
  // Almost always there are none, and this costs next to nothing.
  if ((await db.query(SOME)).length === 0) return new Set();
  const rows = await db.rows<readonly [string]>(RELEASE, [limit]);
  return new Set(rows.map(([queue]) => queue));
}
