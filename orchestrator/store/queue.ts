/** Queues: those that were set, that a definition or a live agent names, or that have tasks. */
import type { Tx } from './connection.ts';

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
      SELECT queue, (count(*) FILTER (WHERE state = 1))::int AS ready,
             (count(*) FILTER (WHERE state = 2))::int AS running
      FROM signalbox.task_live GROUP BY queue
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
