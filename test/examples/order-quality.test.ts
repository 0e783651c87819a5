import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/order-quality.ts', import.meta.url));
const ACTOR = { name: 'token:test' };
const KEYS = ['example/order_feed', 'example/orders', 'example/revenue'];

let stand: AgentStand;
let agent: RunningAgent;
let folder: TempDir;

beforeAll(async () => {
  folder = await makeTempDir('example');
  process.env['EXAMPLE_DIRECTORY'] = folder.path;
  stand = await startAgentStand();
  const loaded = await loadWorkflows([FILE]);
  expect(loaded.errors).toEqual([]);
  agent = startAgent({
    ...{ name: 'example', queues: ['default'], concurrency: 4 },
    transport: inProcessTransport(stand.stand.orchestrator.agents),
    definitions: registryOf(loaded),
    log: (message) => stand.told.push(message),
  });
  await waitFor(() => agent.sessionId());
});
afterAll(async () => {
  delete process.env['EXAMPLE_DIRECTORY'];
  await agent.stop();
  await stand[Symbol.asyncDispose]();
  await folder.remove();
});

it('orders go from the feed through Parquet to a report, with thresholds before anybody reads', async () => {
  const { assets, quality } = stand.stand.orchestrator;
  const run = await stand.ended((await assets.materialize(KEYS, {}, ACTOR)).id);
  expect([run.state, run.error]).toEqual(['succeeded', null]);
  const orders = await assets.get('example/orders');
  expect(orders).toMatchObject({ checkState: 'passing', io: 'parquet-file' });
  expect(orders.checks).toHaveLength(6);
  expect(orders.lastMaterialization?.stored).toMatchObject({ rows: 2_000, stream: true });
  const revenue = await assets.get('example/revenue');
  expect(revenue.lastMaterialization?.metadata).toMatchObject({ orders: 1_975 });
  expect(revenue.checks.map(({ name, passed }) => [name, passed])).toEqual([
    ['quality-score', true],
    ['plausible', true],
  ]);
  expect(await assets.get('example/order_feed')).toMatchObject({ freshness: 'fresh' });
  const checked = await stand.ended((await quality.runChecks('example/orders', {}, ACTOR)).id);
  expect(checked.state).toBe('succeeded');
  const { items } = await quality.checkResults('example/orders', { limit: 100 });
  expect(items).toHaveLength(12);
});
