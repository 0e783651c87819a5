/** Partitions over HTTP and on the command line, with an agent that speaks HTTP. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  AssetImpact,
  AssetPartition,
  MaterializeReply,
  PartitionCounts,
} from '../../domain/partition.ts';
import { httpTransport } from '../../orchestrator/agent/http-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import {
  asset,
  daily,
  dep,
  dynamicPartitions,
  timeWindow,
  workflow,
} from '../../orchestrator/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCommand } from './command-line.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const partitions = daily({ start: '2024-03-01', end: '2024-03-11', timezone: 'Europe/Berlin' });

const days = asset(
  'http/days',
  { partitions, owners: ['ann'], freshness: { failAfter: '3650d' } },
  (ctx) => ({ day: ctx.partitionKey, from: ctx.partition.start }),
);
const pairs = asset(
  'http/pairs',
  {
    ...{ partitions, critical: true, owners: ['bob'] },
    dependsOn: { both: dep(days, timeWindow({ startOffset: -1, endOffset: 0 })) },
  },
  (_ctx, { both }) => Object.values(both as Record<string, { day: string }>).map(({ day }) => day),
);
const shops = asset(
  'http/shops',
  { partitions: dynamicPartitions('http shops') },
  (ctx) => ctx.partitionKey,
);
const report = workflow('http-report', {}, (w) => {
  w.task('send', { consumes: [pairs] }, async (ctx) => {
    await ctx.addPartitions('http shops', ['from a task']);
  });
});

let server: TestServer;
let token: string;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startTestServer();
  token = await server.token('operator');
  agent = startAgent({
    transport: httpTransport({ url: server.url, token: await server.token('agent') }),
    definitions: definitionsOf([days, pairs, shops, report]),
    ...{ name: 'over http', queues: ['default'], concurrency: 5, log: () => {} },
  });
  await waitFor(() => agent.sessionId());
});
afterAll(async () => {
  await agent.stop();
  await server[Symbol.asyncDispose]();
});

async function get<T>(path: string): Promise<T> {
  const { status, body } = await server.call('GET', `/api/v1${path}`, { token });
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as T;
}

const cli = (...args: string[]) => runCommand(server, token, args);

const KEY = encodeURIComponent('http/days');

test('a dry run says what would be made, over the API and on the command line', async () => {
  const { status, body } = await server.call('POST', `/api/v1/assets/${KEY}/materialize`, {
    token,
    body: { partitions: { from: '2024-03-02', to: '2024-03-04' }, dryRun: true },
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({ runCount: 3, partitionCount: 3, assets: [{ key: 'http/days' }] });
  const range = ['--from', '2024-03-02', '--to', '2024-03-04'];
  const shown = await cli('assets', 'materialize', 'http/days', ...range, '--dry-run');
  expect(shown).toContain('3 runs would make 3 partitions');
  expect(shown).toContain('http/days 2024-03-02');
  expect(await get<PartitionCounts>(`/assets/${KEY}/partitions/counts`)).toMatchObject({
    fresh: 0,
  });
});

test('a range is materialized and its partitions are listed in pages, with their states', async () => {
  const { status, body } = await server.call('POST', `/api/v1/assets/${KEY}/materialize`, {
    token,
    body: { partitions: { from: '2024-03-02', to: '2024-03-04' } },
  });
  expect(status).toBe(201);
  expect(body as MaterializeReply).toMatchObject({ runCount: 3, partitionCount: 3 });
  await waitFor(
    async () => (await get<PartitionCounts>(`/assets/${KEY}/partitions/counts`)).fresh === 3,
  );
  type List = { items: AssetPartition[]; nextCursor: string };
  const first = await get<List>(`/assets/${KEY}/partitions?limit=2&order=oldest`);
  expect(first.items.map(({ key, state }) => [key, state])).toEqual([
    ['2024-03-01', 'missing'],
    ['2024-03-02', 'fresh'],
  ]);
  const second = await get<List>(
    `/assets/${KEY}/partitions?limit=2&order=oldest&cursor=${first.nextCursor}`,
  );
  expect(second.items.map(({ key }) => key)).toEqual(['2024-03-03', '2024-03-04']);
  expect(second.items[0]?.interval).toEqual({
    start: '2024-03-02T23:00:00.000Z',
    end: '2024-03-03T23:00:00.000Z',
  });
  const missing = await get<List>(`/assets/${KEY}/partitions?state=missing`);
  expect(missing.items.map(({ key }) => key)).toHaveLength(7);
});

test('what is not a partition is refused with words that help', async () => {
  const path = `/api/v1/assets/${KEY}/materialize`;
  const unknown = await server.call('POST', path, { token, body: { partitions: ['2023-01-01'] } });
  expect([unknown.status, unknown.body]).toEqual([
    400,
    expect.objectContaining({ detail: expect.stringContaining('they go from 2024-03-01') }),
  ]);
  const word = await server.call('POST', path, { token, body: { partitions: 'some' } });
  expect(word.status).toBe(400);
  const viewer = await server.token('viewer');
  const forbidden = await server.call('POST', path, { token: viewer, body: { partitions: 'all' } });
  expect(forbidden.status).toBe(403);
});

test('the command line materializes partitions, shows them, and what suffers', async () => {
  expect(await cli('assets', 'materialize', 'http/days', '--missing')).toMatch(
    /^7 runs make 7 partitions/,
  );
  await waitFor(
    async () => (await get<PartitionCounts>(`/assets/${KEY}/partitions/counts`)).fresh === 10,
  );
  expect(await cli('assets', 'partitions', 'http/days', '--counts')).toBe(
    '10 partitions: 10 fresh\n',
  );
  expect(await cli('assets', 'partitions', 'http/days', '--from', '2024-03-10')).toMatch(
    /2024-03-10 +fresh/,
  );
  const impact = await cli('assets', 'impact', 'http/days', '--partition', '2024-03-05');
  expect(impact).toMatch(/http\/pairs +(yes|true) +2/);
  expect(impact).toContain('http-report (send) consumes http/pairs');
  expect(impact).toContain('Owners: ann, bob');
});

test('impact tells the critical, the owners, and when which policy breaks', async () => {
  const impact = await get<AssetImpact>(`/assets/${KEY}/impact`);
  expect(impact).toMatchObject({
    critical: ['http/pairs'],
    policiesAtRisk: [{ key: 'http/days', staleAt: '2034-03-08T23:00:00.000Z' }],
  });
});

test('a window of an upstream comes over HTTP, and what is missing of it is named', async () => {
  const of = `/assets/${encodeURIComponent('http/pairs')}`;
  const body = { partitions: ['2024-03-05'] };
  await server.call('POST', `/api/v1${of}/materialize`, { token, body });
  await waitFor(async () => (await get<PartitionCounts>(`${of}/partitions/counts`)).fresh === 1);
  type List = { items: { inputs: { partition: string }[] }[] };
  const { items } = await get<List>(`${of}/materializations`);
  expect(items[0]?.inputs.map(({ partition }) => partition)).toEqual(['2024-03-04', '2024-03-05']);
});

test('keys of a list are added by the command line, the API and a task', async () => {
  expect(await cli('assets', 'keys', 'http shops', '--add', 'a', 'b')).toBe('a\nb\n');
  const run = await server.call('POST', '/api/v1/workflows/http-report/runs', { token, body: {} });
  expect(run.status).toBe(201);
  const path = `/partitions/${encodeURIComponent('http shops')}`;
  await waitFor(async () => (await get<{ keys: string[] }>(path)).keys.includes('from a task'));
  const removed = await server.call('POST', `/api/v1${path}`, { token, body: { remove: ['b'] } });
  expect(removed.body).toEqual({ name: 'http shops', keys: ['a', 'from a task'] });
  const bad = await server.call('POST', `/api/v1${path}`, { token, body: { add: ['a|b'] } });
  expect(bad.status).toBe(400);
});
