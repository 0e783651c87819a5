/** Automation over HTTP and on the command line, with the server's own background steps. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Asset } from '../../domain/asset.ts';
import type { AssetAutomation, AutomationEvaluation } from '../../domain/automation.ts';
import { httpTransport } from '../../orchestrator/agent/http-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { asset, eager, onCron } from '../../orchestrator/index.ts';
import { waitFor } from '../support/wait-for.ts';
import { runCommand } from './command-line.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const automation = eager();
const orders = asset('auto/orders', { dependsOn: ['auto/in'], automation }, () => [1, 2]);
const sums = asset(
  'auto/sums',
  { dependsOn: { orders }, automation },
  (_ctx, inputs) => inputs.orders,
);
const nightly = asset('auto/nightly', { automation: onCron('0 3 * * *') }, () => 1);
const plain = asset('auto/plain', {}, () => 1);

let server: TestServer;
let token: string;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startTestServer();
  token = await server.token('operator');
  agent = startAgent({
    transport: httpTransport({ url: server.url, token: await server.token('agent') }),
    definitions: definitionsOf([orders, sums, nightly, plain]),
    ...{ name: 'over http', queues: ['default'], concurrency: 5, log: () => {} },
  });
  await waitFor(() => agent.sessionId());
}, 60_000);
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

const path = (key: string) => `/assets/${encodeURIComponent(key)}`;
const automationOf = (key: string) => get<AssetAutomation>(`${path(key)}/automation`);

test('what is held back is a tree that says why, in the API, in lists and on the command line', async () => {
  const held = await waitFor(
    async () => {
      const found = await automationOf('auto/orders');
      return found.state === 'held' && found;
    },
    { timeoutMs: 30_000, what: 'the first look' },
  );
  expect(held.reason?.code).toBe('upstream-missing');
  expect(held.current[0]?.condition?.of?.map(({ met }) => met)).toEqual([true, false]);
  const { items } = await get<{ items: Asset[] }>('/assets');
  const shown = new Map(items.map(({ key, automation: of }) => [key, of?.state ?? null]));
  expect(shown.get('auto/plain')).toBeNull();
  expect(shown.get('auto/orders')).toBe('held');
  const tree = await cli('assets', 'automation', 'auto/orders');
  expect(tree).toContain('eager()');
  expect(tree).toMatch(
    / {2}✗ eager\n {4}✓ any of these\n {6}✓ newly missing – it was never made\n/,
  );
  expect(tree).toMatch(/✓ any upstream missing – auto\/in is not known/);
  expect(await cli('assets', 'list')).toMatch(
    /auto\/orders .*held back since .*auto\/in is not known/,
  );
});

test('an asset that is not automated is told so, and a wrong cursor is refused', async () => {
  const none = await server.call('GET', `/api/v1${path('auto/plain')}/automation`, { token });
  expect([none.status, none.body]).toEqual([
    404,
    expect.objectContaining({ detail: expect.stringContaining('has no automation') }),
  ]);
  const cursor = `/api/v1${path('auto/orders')}/automation/evaluations?cursor=x`;
  expect((await server.call('GET', cursor, { token })).status).toBe(400);
});

test('the server makes what is called for, by one run, and its history says so', async () => {
  const body = { idempotencyKey: 'one' };
  const ingest = await server.token('ingest');
  const report = `/api/v1${path('auto/in')}/materializations`;
  expect((await server.call('POST', report, { token: ingest, body })).status).toBe(201);
  const made = await waitFor(
    async () => {
      const asset = await get<Asset>(path('auto/sums'));
      return asset.lastMaterialization;
    },
    { timeoutMs: 30_000, what: 'a version' },
  );
  const { items } = await get<{ items: AutomationEvaluation[] }>(
    `${path('auto/sums')}/automation/evaluations?decision=requested`,
  );
  expect(items).toMatchObject([
    { runId: made.runId, reason: { message: expect.stringContaining('is made in the same run') } },
  ]);
  const history = await cli('assets', 'automation', 'auto/sums', '--history');
  expect(history).toMatch(/requested .*auto\/orders is made in the same run/);
});

test('pausing is for operators, stands in the audit trail, and is shown', async () => {
  const viewer = await server.token('viewer');
  const pause = `/api/v1${path('auto/nightly')}/automation/pause`;
  expect((await server.call('POST', pause, { token: viewer, body: {} })).status).toBe(403);
  expect(await cli('assets', 'automation', 'auto/nightly', '--pause')).toMatch(/paused +since /);
  expect(await cli('assets', 'automation', '--all', '--pause')).toMatch(
    /^All automation is paused/,
  );
  expect((await automationOf('auto/orders')).pause?.all).toBe(true);
  expect(await cli('assets', 'automation', '--all', '--resume')).toMatch(
    /^Automation is not paused/,
  );
  await cli('assets', 'automation', 'auto/nightly', '--resume');
  const nightlyNow = await automationOf('auto/nightly');
  expect([nightlyNow.pause, nightlyNow.nextTickAt?.slice(10)]).toEqual([null, 'T03:00:00.000Z']);
  const { items } = await get<{ items: { action: string }[] }>('/audit');
  const actions = JSON.stringify(items);
  expect(actions).toContain('/automation/pause');
  expect(actions).toContain('/automation/resume');
});
