import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServerProbes } from '../../../collector/probe/servers.ts';
import type { PoolSample } from '../../../domain/events.ts';
import type { PoolHolder } from '../../../domain/pool.ts';
import { systemClock } from '../../../domain/time.ts';
import { waitFor } from '../../support/wait-for.ts';
import { MAX_CONNECTIONS, type SmallPostgres, startSmallPostgres } from './small-postgres.ts';

const SERVER = 'target';
let postgres: SmallPostgres;
let appUrl: string;

beforeAll(async () => {
  postgres = await startSmallPostgres();
  appUrl = await postgres.roleUrl('app');
});
afterAll(() => postgres[Symbol.asyncDispose]());

describe('watching a PostgreSQL server', () => {
  it('samples who holds connections, in which state, since when, and who waits for whom', async () => {
    await using watch = watching();
    const [idle, holder, blocked] = await connectAll(3);
    await idle.query('SELECT 1');
    await idle.query('CREATE TEMP TABLE own (n int)');
    await holder.query('BEGIN');
    await holder.query('SELECT pg_advisory_xact_lock(7)');
    const waiting = blocked.query('SELECT pg_advisory_lock(7)');
    const sample = await waitFor(() => watch.samples.find((each) => each.waiting === 1));
    expect(sample).toMatchObject({
      pool: SERVER,
      server: SERVER,
      kind: 'postgres-server',
      max: MAX_CONNECTIONS,
      idle: 1,
    });
    // The probe itself is one of the active ones.
    expect(sample.used).toBe(3);
    const holders = (JSON.parse(sample.holders) as PoolHolder[]).filter(
      (each) => each.role === 'app',
    );
    expect(holders.map(({ state, count, blockedBy }) => [state, count, blockedBy]).sort()).toEqual([
      ['active', 1, 1],
      ['idle in transaction', 1, 0],
      ['idle', 1, 0],
    ]);
    const open = holders.find((each) => each.state === 'idle in transaction');
    expect(open?.oldestTransactionSeconds).toBeGreaterThan(0);
    await holder.query('COMMIT');
    await waiting;
    await Promise.all([idle, holder, blocked].map((client) => client.end()));
  });

  it('goes on sampling a server that is full, and ends what fills it', async () => {
    await using watch = watching();
    await waitFor(() => watch.samples.length > 0);
    const clients = await postgres.fill(appUrl, 'filler');
    const full = await waitFor(() =>
      watch.samples.find((each) => each.used + each.idle + each.reserved >= each.max),
    );
    expect(full.reserved).toBe(3);
    const budget = await watch.levers.budget(SERVER, [{ name: 'orders', max: 5, instances: 3 }]);
    expect(budget).toMatchObject({ maxConnections: MAX_CONNECTIONS, reserved: 3, committed: 15 });
    expect(budget.open).toBeGreaterThanOrEqual(MAX_CONNECTIONS - 3);
    const sessions = (await watch.levers.sessions(SERVER)).filter(
      (each) => each.application === 'filler',
    );
    expect(sessions).toHaveLength(clients.length);
    const { ended, changed } = await watch.levers.terminate(SERVER, sessions);
    expect([ended.length, changed.length]).toEqual([clients.length, 0]);
    await waitFor(async () => (await watch.levers.budget(SERVER, [])).open < 5);
  });

  it('reaches a full server by the reserved slots where it could not connect before', async () => {
    const clients = await postgres.fill(appUrl, 'filler');
    await using watch = watching();
    const sample = await waitFor(() => watch.samples[0]);
    expect(sample.used + sample.idle).toBeGreaterThanOrEqual(MAX_CONNECTIONS - 3);
    await Promise.all(clients.map((client) => client.end()));
  });

  it('says once that a server is away, and once that it is back', async () => {
    const lines: string[] = [];
    await using watch = watching({ log: (line) => lines.push(line) });
    await waitFor(() => watch.samples.length > 0);
    const count = watch.samples.length;
    const [admin] = await connectAll(1, postgres.url);
    await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox-probe'",
    );
    await admin.end();
    // A broken connection is replaced; nobody has to be told of that.
    await waitFor(() => watch.samples.length > count + 2);
    await using lost = watching({
      url: 'postgres://nobody@127.0.0.1:1/none',
      log: (line) => lines.push(line),
    });
    await waitFor(() => lines.some((line) => line.includes('does not answer')));
    expect(lost.samples).toEqual([]);
    expect(lines.filter((line) => line.includes('does not answer'))).toHaveLength(1);
  });
});

describe('levers of a PostgreSQL server', () => {
  it('ends a session only while it is the same one in the same state', async () => {
    await using watch = watching();
    const [client] = await connectAll(1);
    client.on('error', () => undefined);
    await client.query("SET application_name = 'target-of-levers'");
    const find = async () =>
      (await watch.levers.sessions(SERVER)).find((each) => each.application === 'target-of-levers');
    const seen = await waitFor(find);
    await client.query('BEGIN');
    expect(await watch.levers.terminate(SERVER, [seen])).toEqual({
      ended: [],
      changed: [seen.pid],
    });
    const other = {
      ...seen,
      backendStart: '2001-01-01T00:00:00.000000Z',
      state: 'idle in transaction',
    };
    expect(await watch.levers.terminate(SERVER, [other])).toEqual({
      ended: [],
      changed: [seen.pid],
    });
    const now = await waitFor(find);
    expect(now).toMatchObject({ pid: seen.pid, state: 'idle in transaction', blockedBy: [] });
    expect(now.transactionSeconds).toBeGreaterThanOrEqual(0);
    expect(await watch.levers.terminate(SERVER, [now])).toEqual({ ended: [seen.pid], changed: [] });
    await waitFor(async () => (await find()) === undefined);
  });

  it("changes a role's limit where it still is what was seen, and tells what it found where not", async () => {
    await using watch = watching();
    const { levers } = watch;
    await postgres.roleUrl('limited');
    expect(await levers.roleConnectionLimit(SERVER, 'limited')).toBe(-1);
    expect(await levers.setRoleConnectionLimit(SERVER, 'limited', 2, -1)).toEqual({
      outcome: 'done',
      limit: 2,
    });
    expect(await levers.setRoleConnectionLimit(SERVER, 'limited', 2, -1)).toEqual({
      outcome: 'already-so',
      limit: 2,
    });
    expect(await levers.setRoleConnectionLimit(SERVER, 'limited', 5, -1)).toEqual({
      outcome: 'state-changed',
      found: 2,
    });
    expect(await levers.setRoleConnectionLimit(SERVER, 'limited', -1, 2)).toEqual({
      outcome: 'done',
      limit: -1,
    });
    expect(await levers.roleConnectionLimit(SERVER, 'limited')).toBe(-1);
  });

  it('refuses what would lock the probe out, names without meaning, and servers nobody watches', async () => {
    await using watch = watching();
    const { levers } = watch;
    await expect(levers.setRoleConnectionLimit(SERVER, 'postgres', 1, -1)).rejects.toMatchObject({
      code: 'guardrail',
    });
    await expect(levers.setRoleConnectionLimit(SERVER, 'app', 1.5, -1)).rejects.toMatchObject({
      code: 'invalid-request',
    });
    await expect(levers.roleConnectionLimit(SERVER, 'x"; DROP ROLE app')).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(levers.sessions('other')).rejects.toMatchObject({ code: 'not-found' });
    expect(levers.list()).toEqual([SERVER]);
  });
});

function watching(options: { url?: string; log?: (line: string) => void } = {}) {
  const samples: PoolSample[] = [];
  const probes = createServerProbes({
    servers: [{ name: SERVER, url: options.url ?? postgres.url }],
    clock: systemClock,
    everyMs: 50,
    log: options.log ?? (() => undefined),
    async record(all) {
      samples.push(...all);
    },
  });
  probes.start();
  return { samples, levers: probes.levers, [Symbol.asyncDispose]: () => probes.stop() };
}

async function connectAll<N extends number>(count: N, url = appUrl) {
  const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: url }));
  for (const client of clients) client.on('error', () => undefined);
  await Promise.all(clients.map((client) => client.connect()));
  return clients as [pg.Client, pg.Client, pg.Client];
}
