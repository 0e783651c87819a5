/** How full pools and queues are, for who asks why something waits. */
import type { Tx } from './connection.ts';

export interface Limits {
  readonly pools: ReadonlyMap<string, { readonly used: number; readonly max: number }>;
  readonly queues: ReadonlyMap<string, { readonly paused: boolean; readonly agents: number }>;
}

export async function readLimits(
  tx: Tx,
  of: { readonly pools: readonly string[]; readonly queues: readonly string[] },
): Promise<Limits> {
  const pools =
    of.pools.length === 0
      ? []
      : await tx.query<{ name: string; max: number; used: number }>(
          `SELECT p.name, p.max, (
             SELECT coalesce(sum(t.pool_slots), 0)::int FROM signalbox.task_live t
             WHERE t.pool = p.name AND t.state = 2) AS used
           FROM signalbox.pool p WHERE p.name = ANY($1)`,
          [[...new Set(of.pools)]],
        );
  const queues =
    of.queues.length === 0
      ? []
      : await tx.query<{ name: string; paused: boolean; agents: number }>(
          `SELECT n.name, coalesce(q.paused, false) AS paused, (
             SELECT count(*)::int FROM signalbox.agent_session s
             WHERE s.state = 'live' AND n.name = ANY(s.queues)) AS agents
           FROM unnest($1::text[]) AS n (name) LEFT JOIN signalbox.queue q ON q.name = n.name`,
          [[...new Set(of.queues)]],
        );
  return {
    pools: new Map(pools.map(({ name, ...row }) => [name, row])),
    queues: new Map(queues.map(({ name, ...row }) => [name, row])),
  };
}
