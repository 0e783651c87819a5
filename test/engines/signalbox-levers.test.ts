import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SignalboxError } from '../../domain/errors.ts';
import type { ConnectionBudget, Levers } from '../../domain/levers.ts';
import { systemClock } from '../../domain/time.ts';
import { createLevers } from '../../engines/signalbox/levers.ts';
import { startTelemetry, type Telemetry } from '../incidents/telemetry.ts';

let telemetry: Telemetry;
let ceilings: Record<string, number>;

beforeAll(async () => {
  telemetry = await startTelemetry();
});
afterAll(() => telemetry[Symbol.asyncDispose]());
beforeEach(async () => {
  ceilings = {};
  await telemetry.clear();
  const at = new Date(systemClock.now() - 1_000).toISOString().replace('T', ' ').replace('Z', '');
  const sample = (instance: string, used: number) => ({
    ...{ at, pool: 'orders', kind: 'postgres-client', instance, server: 'db' },
    ...{ used, idle: 1, waiting: 2, max: 10 },
  });
  await telemetry.insert('pool_samples', [sample('agent-1', 4), sample('agent-2', 6)]);
});

/** What was seen is real; ceilings and servers are those of the test. */
function levers(): Levers['pools'] {
  const servers = {
    list: () => ['db'],
    async budget(server: string, pools: ConnectionBudget['pools']) {
      const committed = pools.reduce((sum, { max, instances }) => sum + max * instances, 0);
      return { server, maxConnections: 100, reserved: 3, committed, open: 12, pools };
    },
    sessions: async () => [],
    terminate: async () => ({ ended: [], changed: [] }),
    roleConnectionLimit: async () => -1,
    setRoleConnectionLimit: async () => ({ outcome: 'done', limit: 5 }) as const,
  };
  const pools = {
    get: (name: string) => Promise.reject(new SignalboxError('not-found', name)),
    ceilings: async () => ceilings,
    async set(name: string, { max }: { max: number }) {
      ceilings[name] = max;
      return { name, kind: 'postgres-client', used: 0, idle: 0, waiting: 0, max, at: null };
    },
  };
  const query = telemetry.query;
  const { runs, assets, agents } = {} as Levers;
  return createLevers({ runs, assets, agents, pools, servers, query, clock: systemClock }).pools;
}

describe('pools as runbooks reach them', () => {
  it('add up what each process says, and have the ceiling of one process', async () => {
    expect(await levers().get('orders')).toMatchObject({ used: 10, idle: 2, waiting: 4, max: 10 });
    expect(await levers().get('nothing')).toBeNull();
  });

  it('are known by the server that they were seen on', async () => {
    expect(await levers().serverOf('orders')).toBe('db');
    expect(await levers().serverOf('nothing')).toBeNull();
  });

  it('count in a server’s budget once for each process', async () => {
    expect(await levers().budget('db')).toMatchObject({
      committed: 20,
      pools: [{ name: 'orders', max: 10, instances: 2 }],
    });
    ceilings = { orders: 15 };
    expect(await levers().budget('db')).toMatchObject({ committed: 30 });
  });

  it('change only while they are as the plan saw them', async () => {
    const pools = levers();
    expect(await pools.setMax('orders', 20, 12)).toEqual({ outcome: 'state-changed', found: 10 });
    expect(await pools.setMax('orders', 20, 10)).toMatchObject({ outcome: 'done' });
    expect(await pools.setMax('orders', 20, 10)).toMatchObject({ outcome: 'already-so' });
    expect(ceilings).toEqual({ orders: 20 });
  });
});
