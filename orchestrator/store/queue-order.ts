/** Which queues go before others, and which of them have work that could start. */
import type { Tx } from './connection.ts';

/** Priorities that are not 0, by queue. */
export async function hasQueuePriorities(db: Tx): Promise<ReadonlyMap<string, number>> {
  const rows = await db.rows<readonly [string, number]>(
    `SELECT name, priority FROM signalbox.queue WHERE priority <> 0 AND name <> '*'`,
  );
  return new Map(rows);
}

/**
 * Queues beside others of an agent that have a ready task for which there is room: within the queue's limit and rate,
 * with slots of its pool free, and with an agent that has its labels. Of pooled tasks a few are looked at.
 */
const WAITING = `
  SELECT q.name, coalesce(l.priority, 0)
  FROM (SELECT DISTINCT unnest(queues) AS name FROM signalbox.agent_session
        WHERE state = 'live' AND cardinality(queues) > 1) q
  LEFT JOIN signalbox.queue l ON l.name = q.name
  WHERE l.paused IS NOT TRUE
    AND (EXISTS (SELECT FROM signalbox.task_live t WHERE t.state = 1 AND t.pool IS NULL AND t.queue = q.name)
      OR EXISTS (
        SELECT FROM (
          SELECT pool, pool_slots FROM signalbox.task_live
          WHERE state = 1 AND pool IS NOT NULL AND queue = q.name LIMIT 20) t
        LEFT JOIN signalbox.pool p ON p.name = t.pool AND p.kind = 'task-slots'
        WHERE p.name IS NULL OR p.max - (
          SELECT coalesce(sum(r.pool_slots), 0) FROM signalbox.task_live r
          WHERE r.state = 2 AND r.pool = t.pool AND r.pool IS NOT NULL) >= t.pool_slots)
      OR EXISTS (
        SELECT FROM signalbox.label_set s
        WHERE EXISTS (SELECT FROM signalbox.task_live t
                      WHERE t.state = 7 AND t.queue = q.name AND t.labels = s.labels)
          AND EXISTS (SELECT FROM signalbox.agent_session a
                      WHERE a.state = 'live' AND q.name = ANY(a.queues) AND a.labels @> s.labels)))
    AND (l.concurrency IS NULL OR l.concurrency > (
      SELECT count(*) FROM signalbox.task_live r WHERE r.state = 2 AND r.queue = q.name))
    AND (l.rate_count IS NULL OR 1 <= coalesce(l.rate_tokens, l.rate_count)
      + extract(epoch FROM clock_timestamp() - coalesce(l.rate_at, clock_timestamp())) * 1000
        * l.rate_count / l.rate_per_ms)`;

/** Their priorities, by queue. */
export async function readWaitingQueues(db: Tx): Promise<ReadonlyMap<string, number>> {
  return new Map(await db.rows<readonly [string, number]>(WAITING));
}
