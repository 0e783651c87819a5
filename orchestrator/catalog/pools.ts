/**
 * Pools that Signalbox enforces (task slots, on claims) and those that live in agents and follow the ceiling that
 * is set here. A ceiling is for one agent's pool; what is shown is summed over the agents that have one.
 */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { environmentOf, plainName } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { ConnectionBudget } from '../../domain/levers.ts';
import { type Pool, uncreatedPoolNotice } from '../../domain/pool.ts';
import type { Clock } from '../../domain/time.ts';
import type { PoolService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import {
  type ClientPoolRow,
  findClientPool,
  type PoolRow,
  readClientPools,
  readPools,
  readSlotUse,
  readUncreatedPools,
  type UncreatedPool,
  upsertPool,
} from '../store/pool.ts';

const MAX_SIZE = 1_000_000;
const MAX_NAME_LENGTH = 200;
/** A name that an agent used for a pool of its own stays one while the agent starts anew. */
const REMEMBERED_MS = 86_400_000;

export interface PoolDeps {
  readonly db: Db;
  readonly clock: Clock;
  changed(topic: 'pool', id: string): void;
}

export function createPools(deps: PoolDeps): PoolService {
  const { db, clock } = deps;
  const list = () => listPools(db, clock.now());
  const get = async (name: string) => {
    const pool = (await list()).find((candidate) => candidate.name === name);
    if (!pool) throw new SignalboxError('not-found', `pool ${name}`);
    return pool;
  };
  return {
    list,
    get,
    async set(name, { max }, actor) {
      assertPool(name, max);
      const now = clock.now();
      const [stored, client] = await Promise.all([
        readPools(db),
        findClientPool(db, name, new Date(now - REMEMBERED_MS)),
      ]);
      const before = stored.find((candidate) => candidate.name === name);
      await upsertPool(db, {
        name,
        max,
        kind: client ? 'postgres-client' : (before?.kind ?? 'task-slots'),
        server: client?.server ?? null,
        updatedBy: actor.name,
        now: new Date(now),
      });
      deps.changed('pool', name);
      return get(name);
    },
    async ceilings() {
      const rows = await readPools(db);
      const ceilings = rows.filter((row) => row.kind === 'postgres-client');
      return Object.fromEntries(ceilings.map((row) => [row.name, row.max]));
    },
    clientPoolsOf: (server) => clientPoolsOf(db, server),
  };
}

function assertPool(name: string, max: number): void {
  if (!Number.isInteger(max) || max < 0 || max > MAX_SIZE) {
    throw new SignalboxError('invalid-request', `max is 0 to ${MAX_SIZE}`, [
      { path: '/max', message: `must be an integer from 0 to ${MAX_SIZE}` },
    ]);
  }
  if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
    throw new SignalboxError('invalid-request', `a name has 1 to ${MAX_NAME_LENGTH} characters`);
  }
}

async function listPools(db: Db, now: number): Promise<readonly Pool[]> {
  const [stored, clients, use, uncreated] = await Promise.all([
    readPools(db),
    readClientPools(db),
    readSlotUse(db),
    readUncreatedPools(db),
  ]);
  const at = new Date(now).toISOString();
  const ceilings = new Map(stored.map((row) => [row.name, row]));
  const used = new Map(use.map((row) => [row.pool, row]));
  const reported = new Set(clients.map((row) => row.name));
  const known = new Set([...reported, ...ceilings.keys()]);
  const pools = [
    ...uncreated
      .filter(({ pool }) => !known.has(pool))
      .map((one) => toUncreated(one, used.get(one.pool), at)),
    ...clients.map((row) => toClientPool(row, ceilings.get(row.name))),
    ...stored
      .filter((row) => !reported.has(row.name))
      .map(({ name, kind, max }): Pool => {
        const slots = kind === 'task-slots' ? used.get(name) : undefined;
        return {
          name,
          kind,
          used: slots?.used ?? 0,
          idle: 0,
          waiting: slots?.waiting ?? 0,
          max,
          at: kind === 'task-slots' ? at : null,
        };
      }),
  ];
  return pools.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function toUncreated(
  { pool, workflows }: UncreatedPool,
  slots: { readonly used: number; readonly waiting: number } | undefined,
  at: string,
): Pool {
  const counts = { used: slots?.used ?? 0, idle: 0, waiting: slots?.waiting ?? 0, max: null };
  const shown = { created: false, namedBy: workflows.map(plainName) };
  return { name: pool, kind: 'task-slots', ...counts, at, ...shown };
}

/** What an agent is told of the pools that its definitions name. */
export async function poolNotices(
  db: Db,
  definitions: readonly WorkflowDefinition[],
): Promise<readonly string[]> {
  const named = poolsNamed(definitions);
  if (named.length === 0) return [];
  const uncreated = await readUncreatedPools(db, named);
  return uncreated.map(({ pool, workflows }) =>
    uncreatedPoolNotice(plainName(pool), workflows.map(plainName), environmentOf(pool)),
  );
}

/** Pools that tasks of these definitions name, each once. */
export function poolsNamed(definitions: readonly Pick<WorkflowDefinition, 'tasks'>[]) {
  const names = new Set<string>();
  for (const { tasks } of definitions) {
    for (const { pool } of tasks) if (pool !== null) names.add(pool);
  }
  return [...names];
}

/** A ceiling counts from when it is set, though agents apply it with their next heartbeat. */
function toClientPool(row: ClientPoolRow, ceiling: PoolRow | undefined): Pool {
  const max = ceiling?.kind === 'postgres-client' ? ceiling.max : row.max;
  return {
    name: row.name,
    kind: 'postgres-client',
    used: row.used,
    idle: row.idle,
    waiting: row.waiting,
    max: max * row.instances,
    at: row.at.toISOString(),
  };
}

async function clientPoolsOf(db: Db, server: string): Promise<ConnectionBudget['pools']> {
  const [stored, clients] = await Promise.all([readPools(db), readClientPools(db)]);
  const ceilings = new Map(stored.map((row) => [row.name, row.max]));
  return clients
    .filter((row) => row.server === server)
    .map(({ name, max, instances }) => ({
      name,
      max: Math.max(max, ceilings.get(name) ?? 0),
      instances,
    }));
}
