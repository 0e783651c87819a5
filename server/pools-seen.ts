/**
 * Pools of all origins in one list: task slots and ceilings as Postgres has them, usage of connection pools
 * as it was last seen by telemetry.
 */
import { SignalboxError } from '../domain/errors.ts';
import type { Pool } from '../domain/pool.ts';
import type { Parts } from './parts.ts';

type Sources = Pick<Parts, 'orchestrator' | 'collector'>;

/** All pools by name. ClickHouse being away hides only what it alone has seen. */
export async function listPools({ orchestrator, collector }: Sources): Promise<readonly Pool[]> {
  const [stored, seen] = await Promise.all([
    orchestrator.pools.list(),
    collector.observedPools().catch((): readonly Pool[] => []),
  ]);
  const pools = new Map<string, Pool>(seen.map((pool) => [poolId(pool), pool]));
  for (const pool of stored) pools.set(pool.name, join(pool, pools.get(pool.name)));
  return [...pools].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, pool]) => pool);
}

/** What tells pools apart: those of one name in different services are different pools. */
export function poolId({ name, instance }: Pool): string {
  return instance === undefined ? name : `${name}\n${instance}`;
}

/** @throws not-found */
export async function getPool(sources: Sources, name: string): Promise<Pool> {
  const pool = (await listPools(sources)).find((one) => one.name === name);
  if (!pool) throw new SignalboxError('not-found', `pool ${name}`);
  return pool;
}

/** Task slots are counted in Postgres; of other pools Postgres knows the ceiling, telemetry the rest. */
function join(stored: Pool, seen: Pool | undefined): Pool {
  if (!seen || stored.kind === 'task-slots') return stored;
  return { ...seen, max: stored.max ?? seen.max };
}
