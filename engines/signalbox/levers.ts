/**
 * Signalbox's own orchestrator as an engine that runbooks act on. Runs, assets and agents come from the
 * orchestrator as they are; pools are put together from three places: ceilings that the orchestrator hands to
 * agents, what was last seen of each pool, and the watched servers themselves.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';
import type { ConnectionBudget, Levers, PoolLevers } from '../../domain/levers.ts';
import type { Pool } from '../../domain/pool.ts';
import type { Clock } from '../../domain/time.ts';

export interface LeverParts {
  /** From the orchestrator, as they are. */
  readonly runs: Levers['runs'];
  readonly assets: Levers['assets'];
  readonly agents: Levers['agents'];
  readonly pools: {
    get(name: string): Promise<Pool>;
    set(name: string, value: { max: number }, actor: { name: string }): Promise<Pool>;
    ceilings(): Promise<Readonly<Record<string, number>>>;
  };
  readonly servers: Pick<
    PoolLevers,
    'sessions' | 'terminate' | 'roleConnectionLimit' | 'setRoleConnectionLimit'
  > & {
    list(): readonly string[];
    budget(server: string, pools: ConnectionBudget['pools']): Promise<ConnectionBudget>;
  };
  /** What was seen: read-only SELECT on ClickHouse. */
  query(query: DetectorQuery): Promise<QueryRows>;
  readonly clock: Clock;
}

const ACTOR = { name: 'signalbox' };
const SEEN_WITHIN_MS = 60_000;

const SEEN_SQL = `
SELECT pool, kind, instance, argMax(server, at) AS server_name, argMax(used, at) AS used_now,
       argMax(idle, at) AS idle_now, argMax(waiting, at) AS waiting_now, argMax(max, at) AS max_now,
       toUnixTimestamp64Milli(max(at)) AS last_ms
FROM signalbox.pool_samples
WHERE at > fromUnixTimestamp64Milli({from:Int64})
  AND ({pool:String} = '' OR pool = {pool:String}) AND ({server:String} = '' OR server = {server:String})
GROUP BY pool, kind, instance
ORDER BY pool, instance
LIMIT 10000`;

interface SeenPool {
  readonly pool: string;
  readonly kind: string;
  readonly server: string;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
  readonly at: number;
}

/** Joins the parts into the one interface that runbooks have. */
export function createLevers(parts: LeverParts): Levers {
  const { runs, assets, agents } = parts;
  return { runs, assets, agents, pools: poolLevers(parts) };
}

function poolLevers(parts: LeverParts): PoolLevers {
  const { pools, servers } = parts;
  const seen = (where: { pool?: string; server?: string }) => readSeen(parts, where);

  async function get(name: string): Promise<Pool | null> {
    const instances = await seen({ pool: name });
    const known = await pools.get(name).catch(nullWhereNotFound);
    const [first] = instances;
    if (!first) return known;
    const ceiling = (await pools.ceilings())[name];
    return {
      name,
      kind: known?.kind ?? first.kind,
      used: sum(instances, (one) => one.used),
      idle: sum(instances, (one) => one.idle),
      waiting: sum(instances, (one) => one.waiting),
      // For each process; what counts is what it has been told, not what it has applied.
      max: ceiling ?? Math.max(...instances.map((one) => one.max)),
      at: new Date(Math.max(...instances.map((one) => one.at))).toISOString(),
    };
  }

  return {
    get,
    async serverOf(pool) {
      const [one] = (await seen({ pool })).filter(({ server }) => server !== '');
      return one?.server ?? null;
    },
    async budget(server) {
      const instances = await seen({ server });
      const ceilings = await pools.ceilings();
      const clients = instances.filter(({ kind }) => kind !== 'postgres-server');
      const names = [...new Set(clients.map(({ pool }) => pool))];
      return servers.budget(
        server,
        names.map((name) => {
          const same = clients.filter(({ pool }) => pool === name);
          const max = ceilings[name] ?? Math.max(...same.map((one) => one.max));
          return { name, max, instances: same.length };
        }),
      );
    },
    async setMax(name, max, expectedMax) {
      const pool = await get(name);
      if (!pool) throw new SignalboxError('not-found', `no pool is named ${name}`);
      if (pool.max === max) return { outcome: 'already-so', pool };
      if (pool.max !== expectedMax) return { outcome: 'state-changed', found: pool.max };
      return { outcome: 'done', pool: await pools.set(name, { max }, ACTOR) };
    },
    sessions: (server) => servers.sessions(server),
    terminate: (server, sessions) => servers.terminate(server, sessions),
    roleConnectionLimit: (server, role) => servers.roleConnectionLimit(server, role),
    setRoleConnectionLimit: (server, role, limit, expected) =>
      servers.setRoleConnectionLimit(server, role, limit, expected),
  };
}

async function readSeen(
  { query, clock }: LeverParts,
  { pool = '', server = '' }: { pool?: string; server?: string },
): Promise<readonly SeenPool[]> {
  const from = clock.now() - SEEN_WITHIN_MS;
  const rows = await query({ sql: SEEN_SQL, parameters: { from, pool, server } });
  return rows.map((row) => ({
    pool: String(row['pool']),
    kind: String(row['kind']),
    server: String(row['server_name']),
    used: Number(row['used_now']),
    idle: Number(row['idle_now']),
    waiting: Number(row['waiting_now']),
    max: Number(row['max_now']),
    at: Number(row['last_ms']),
  }));
}

function nullWhereNotFound(error: unknown): null {
  if (error instanceof SignalboxError && error.code === 'not-found') return null;
  throw error;
}

function sum(pools: readonly SeenPool[], of: (pool: SeenPool) => number): number {
  return pools.reduce((total, pool) => total + of(pool), 0);
}
