/**
 * The pools of this process by name. They hang on the global object, since a process may hold two copies of this
 * module (a project's own installed one), and a ceiling must reach the pools of both.
 */
import type { AgentPoolReport } from '../../domain/agent-protocol.ts';
import type { PostgresPool } from './postgres-pool.ts';

interface Kept {
  readonly settings: string;
  readonly pool: PostgresPool;
}

interface Registered {
  readonly pools: Map<string, Kept>;
  ceilings: Readonly<Record<string, number>>;
}

const PLACE = Symbol.for('signalbox.pools');

function registered(): Registered {
  const holder = globalThis as { [PLACE]?: Registered };
  holder[PLACE] ??= { pools: new Map(), ceilings: {} };
  return holder[PLACE];
}

/** The pool of a name, made when it is first asked for; null where it is there with other settings. */
export function keepPool(
  name: string,
  settings: string,
  make: () => PostgresPool,
): PostgresPool | null {
  const { pools, ceilings } = registered();
  const known = pools.get(name);
  if (known !== undefined && !known.pool.ended) {
    return known.settings === settings ? known.pool : null;
  }
  const pool = make();
  pool.setMax(ceilings[name] ?? pool.declaredMax);
  pools.set(name, { settings, pool });
  return pool;
}

/** Applies what the server set; a pool that it names no more goes back to what the code declares. */
export function applyCeilings(ceilings: Readonly<Record<string, number>>): void {
  const here = registered();
  here.ceilings = ceilings;
  for (const [name, { pool }] of here.pools) pool.setMax(ceilings[name] ?? pool.declaredMax);
}

/** How full the pools are, for a heartbeat. */
export function reportPools(): AgentPoolReport[] {
  for (const { pool } of registered().pools.values()) pool.telemetry.register();
  return [...registered().pools].map(([name, { pool }]) => ({
    name,
    kind: 'postgres-client',
    server: pool.server,
    used: pool.usedCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
    max: pool.max,
    timeouts: pool.timeouts,
  }));
}
