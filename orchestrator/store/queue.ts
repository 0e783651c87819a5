/** Queues: those that were set, that a definition or a live agent names, or that have tasks. */
import type { Tx } from './connection.ts';
import { HELD_COUNT } from './held.ts';

export interface QueueRow {
  readonly name: string;
  readonly paused: boolean;
  readonly concurrency: number | null;
  readonly ready: number;
  readonly running: number;
  /** Tasks that wait at a limit of theirs, or for an agent with the labels they ask for. */
  readonly waiting: number;
  /** Since when the longest of the ready and waiting tasks waits. */
  readonly oldest: Date | null;
  readonly priority: number;
  readonly rateCount: number | null;
  readonly ratePerMs: number | null;
}

export function readQueues(db: Tx): Promise<QueueRow[]> {
  return db.query<QueueRow>(`
    WITH counted AS (
      SELECT queue, sum(ready)::int AS ready, sum(running)::int AS running,
             sum(waiting)::int AS waiting, min(oldest) AS oldest FROM (
        SELECT queue, (coalesce(sum(1 + coalesce(octet_length(more), 0) / 4) FILTER (WHERE state = 1), 0)) AS ready,
               count(*) FILTER (WHERE state = 2) AS running,
               count(*) FILTER (WHERE state IN (6, 7)) AS waiting,
               min(ready_at) FILTER (WHERE state IN (1, 6, 7)) AS oldest
        FROM signalbox.task_live GROUP BY queue
        UNION ALL
        SELECT w.queue, 0, sum(${HELD_COUNT}), 0, NULL
        FROM signalbox.run_live l JOIN signalbox.workflow w ON w.name = l.workflow
        WHERE l.holder IS NOT NULL GROUP BY w.queue) both_kinds
      GROUP BY queue
    ), named AS (
      SELECT name FROM signalbox.queue
      UNION SELECT queue FROM signalbox.workflow
      UNION SELECT unnest(queues) FROM signalbox.agent_session WHERE state = 'live'
      UNION SELECT queue FROM counted
    )
    SELECT n.name, coalesce(q.paused, false) AS paused, q.concurrency,
           coalesce(c.ready, 0) AS ready, coalesce(c.running, 0) AS running,
           coalesce(c.waiting, 0) AS waiting, c.oldest, coalesce(q.priority, 0) AS priority,
           q.rate_count AS "rateCount", q.rate_per_ms AS "ratePerMs"
    FROM named n LEFT JOIN signalbox.queue q ON q.name = n.name LEFT JOIN counted c ON c.queue = n.name
    ORDER BY n.name`);
}

export interface QueueChange {
  readonly paused?: boolean;
  readonly concurrency?: number | null;
  readonly priority?: number;
  readonly rateLimit?: { readonly count: number; readonly perMs: number } | null;
}

/** Sets what is given; an undefined field stays as it is. A new rate begins with a full bucket. */
export async function upsertQueue(tx: Tx, name: string, value: QueueChange): Promise<void> {
  const { paused, concurrency, priority, rateLimit } = value;
  await tx.execute(
    `INSERT INTO signalbox.queue AS q (name, paused, concurrency, priority, rate_count, rate_per_ms)
     VALUES ($1, coalesce($2, false), $3, coalesce($5, 0), $6, $7)
     ON CONFLICT (name) DO UPDATE SET
       paused = coalesce($2, q.paused),
       concurrency = CASE WHEN $4 THEN excluded.concurrency ELSE q.concurrency END,
       priority = coalesce($5, q.priority),
       rate_count = CASE WHEN $8 THEN excluded.rate_count ELSE q.rate_count END,
       rate_per_ms = CASE WHEN $8 THEN excluded.rate_per_ms ELSE q.rate_per_ms END,
       rate_tokens = CASE WHEN $8 THEN NULL ELSE q.rate_tokens END,
       rate_at = CASE WHEN $8 THEN NULL ELSE q.rate_at END`,
    [
      ...[name, paused ?? null, concurrency ?? null, concurrency !== undefined, priority ?? null],
      ...[rateLimit?.count ?? null, rateLimit?.perMs ?? null, rateLimit !== undefined],
    ],
  );
}
