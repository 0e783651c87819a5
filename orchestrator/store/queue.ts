/** Queues: those that were set, that a definition or a live agent names, or that have tasks. */
import type { Tx } from './connection.ts';
import { HELD_COUNT } from './held.ts';

export interface QueueRow {
  readonly name: string;
  readonly paused: boolean;
  readonly concurrency: number | null;
  readonly ready: number;
  readonly running: number;
}

export function readQueues(db: Tx): Promise<QueueRow[]> {
  return db.query<QueueRow>(`
    WITH counted AS (
      SELECT queue, sum(ready)::int AS ready, sum(running)::int AS running FROM (
        SELECT queue, (coalesce(sum(1 + coalesce(octet_length(more), 0) / 4) FILTER (WHERE state = 1), 0)) AS ready,
               count(*) FILTER (WHERE state = 2) AS running
        FROM signalbox.task_live GROUP BY queue
        UNION ALL
        SELECT w.queue, 0, sum(${HELD_COUNT})
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
           coalesce(c.ready, 0) AS ready, coalesce(c.running, 0) AS running
    FROM named n LEFT JOIN signalbox.queue q ON q.name = n.name LEFT JOIN counted c ON c.queue = n.name
    ORDER BY n.name`);
}

/** Sets what is given; an undefined field stays as it is. */
export async function upsertQueue(
  tx: Tx,
  name: string,
  value: { paused?: boolean; concurrency?: number | null },
): Promise<void> {
  const { paused, concurrency } = value;
  await tx.execute(
    `INSERT INTO signalbox.queue AS q (name, paused, concurrency)
     VALUES ($1, coalesce($2, false), $3)
     ON CONFLICT (name) DO UPDATE SET
       paused = coalesce($2, q.paused),
       concurrency = CASE WHEN $4 THEN excluded.concurrency ELSE q.concurrency END`,
    [name, paused ?? null, concurrency ?? null, concurrency !== undefined],
  );
}
