/**
 * Tasks that wait for themselves in the scheduled run before (`dependsOnPast`). They have a row of `task_live` in a
 * state of their own, which no claim finds; here they become ready.
 */
import { NOT_CHOSEN, READY, SKIPPED, SUCCEEDED, WAITS_FOR_PAST } from '../dispatch/task-codes.ts';
import type { Tx } from './connection.ts';

const DONE = `(${SUCCEEDED}, ${SKIPPED}, ${NOT_CHOSEN})`;

/**
 * Ready are those whose run is by no schedule, or the first one of it; those that the run before does not have; and
 * those that succeeded there, or were skipped. A run that was skipped as a whole does not count. An item of a mapped
 * task waits for the item of the same index; where the list was shorter then, for none; where there is no list yet, for
 * what becomes of it. What tasks of one run wait for is looked up once for each task of the graph.
 *
 * Never waits for a lock: what a cancellation or a pause holds is looked at again.
 */
const RELEASE = `
  WITH waiting AS MATERIALIZED (
    SELECT t.run_id, t.task, coalesce(x.base, t.task) AS base, x.item
    FROM signalbox.task_live t JOIN signalbox.run r ON r.id = t.run_id
    LEFT JOIN LATERAL (
      SELECT (e ->> 0)::int AS base, t.task - (e ->> 1)::int AS item FROM jsonb_array_elements(r.expanded) e
      WHERE (e ->> 1)::int BETWEEN 0 AND t.task AND t.task < (e ->> 1)::int + (e ->> 2)::int LIMIT 1) x ON true
    WHERE t.state = ${WAITS_FOR_PAST} AND (t.run_id, t.task) > ($2::uuid, $3::int)
    ORDER BY t.run_id, t.task LIMIT $1 FOR UPDATE OF t SKIP LOCKED
  ), asked AS MATERIALIZED (
    SELECT w.run_id, w.base, r.workflow, r.trigger, r.logical_date, v.graph -> 'tasks' -> w.base ->> 'key' AS key,
           coalesce((v.graph -> 'tasks' -> w.base ->> 'waitForDownstream')::boolean, false) AS downstream
    FROM (SELECT DISTINCT run_id, base FROM waiting) w
    JOIN signalbox.run r ON r.id = w.run_id
    JOIN signalbox.workflow_version v ON v.id = r.version_id
  ), past AS MATERIALIZED (
    SELECT a.run_id, a.base, p.id AS past_id, p.state, i.place, s.tasks, x.first, x.count,
           a.downstream AND s.tasks IS NOT NULL AND EXISTS (
             SELECT FROM signalbox.workflow_version dv
             CROSS JOIN LATERAL jsonb_array_elements(dv.graph -> 'tasks') WITH ORDINALITY AS d (task, place)
             WHERE dv.id = p.version_id AND d.task -> 'after' @> to_jsonb(i.place)
               AND get_byte(s.tasks, (d.place - 1)::int) NOT IN ${DONE}) AS held_up
    FROM asked a
    LEFT JOIN LATERAL (
      SELECT p.id, p.state, p.version_id, p.tasks, p.expanded FROM signalbox.run p
      WHERE a.trigger = 'schedule' AND p.workflow = a.workflow AND p.trigger = 'schedule'
        AND p.state <> 'skipped' AND p.logical_date < a.logical_date
      ORDER BY p.logical_date DESC LIMIT 1) p ON true
    LEFT JOIN LATERAL (
      SELECT (e.place - 1)::int AS place
      FROM signalbox.workflow_version pv
      CROSS JOIN LATERAL jsonb_array_elements(pv.graph -> 'tasks') WITH ORDINALITY AS e (task, place)
      WHERE pv.id = p.version_id AND e.task ->> 'key' = a.key) i ON true
    LEFT JOIN signalbox.run_live l ON l.run_id = p.id
    LEFT JOIN LATERAL (
      SELECT (e ->> 1)::int AS first, (e ->> 2)::int AS count FROM jsonb_array_elements(p.expanded) e
      WHERE (e ->> 0)::int = i.place AND (e ->> 1)::int >= 0 LIMIT 1) x ON true
    CROSS JOIN LATERAL (SELECT coalesce(l.tasks, p.tasks) AS tasks) s
  ), free AS MATERIALIZED (
    SELECT w.run_id, w.task FROM waiting w JOIN past p ON p.run_id = w.run_id AND p.base = w.base
    WHERE p.past_id IS NULL OR p.place IS NULL OR CASE
      WHEN p.tasks IS NULL THEN p.state = 'succeeded'
      WHEN p.held_up OR p.place >= length(p.tasks) THEN false
      WHEN w.item IS NULL OR p.first IS NULL THEN get_byte(p.tasks, p.place) IN ${DONE}
      WHEN w.item >= p.count THEN true
      WHEN p.first + w.item < length(p.tasks) THEN get_byte(p.tasks, p.first + w.item) IN ${DONE}
      ELSE false END
  ), released AS (
    UPDATE signalbox.task_live t SET state = ${READY}, ready_at = clock_timestamp()
    FROM free f WHERE t.run_id = f.run_id AND t.task = f.task AND t.state = ${WAITS_FOR_PAST}
    RETURNING t.queue)
  SELECT (SELECT count(*)::int FROM waiting),
         (SELECT run_id FROM waiting ORDER BY run_id DESC, task DESC LIMIT 1),
         (SELECT task FROM waiting ORDER BY run_id DESC, task DESC LIMIT 1),
         ARRAY(SELECT DISTINCT queue FROM released)`;

const SOME = `SELECT FROM signalbox.task_live WHERE state = ${WAITS_FOR_PAST} LIMIT 1`;

/** A place among the rows that wait; they are gone through in pieces, so that none is in the way of the others. */
export interface PastPlace {
  readonly runId: string;
  readonly task: number;
}

export const FIRST_PLACE: PastPlace = { runId: '00000000-0000-0000-0000-000000000000', task: -1 };

/** @returns queues in which tasks became ready, and where to go on; null where those were the last */
export async function releasePast(
  db: Tx,
  after: PastPlace,
  limit: number,
): Promise<{ readonly queues: readonly string[]; readonly next: PastPlace | null }> {
  const [row] = await db.rows<readonly [number, string | null, number | null, string[]]>(RELEASE, [
    ...[limit, after.runId, after.task],
  ]);
  const [seen = 0, runId = null, task = null, queues = []] = row ?? [];
  const next = seen === limit && runId !== null && task !== null ? { runId, task } : null;
  return { queues, next };
}

/** Whether any task waits so. Almost always none does, and this costs next to nothing. */
export async function anyWaitsForPast(db: Tx): Promise<boolean> {
  return (await db.query(SOME)).length > 0;
}
