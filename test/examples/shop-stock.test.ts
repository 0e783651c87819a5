/** The example of a list of partitions that grows. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AutomationStand, startAutomationStand } from '../orchestrator/automation/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/shop-stock.ts', import.meta.url));
const ACTOR = { name: 'token:test' };

let stand: AutomationStand;
let agent: RunningAgent;

beforeAll(async () => {
  stand = await startAutomationStand();
  const loaded = await loadWorkflows([FILE]);
  expect(loaded.errors).toEqual([]);
  agent = startAgent({
    ...{ name: 'examples', queues: ['default'], concurrency: 4 },
    transport: inProcessTransport(stand.orchestrator.agents),
    definitions: registryOf(loaded),
    log: () => undefined,
  });
  await waitFor(() => agent.sessionId());
});
afterAll(async () => {
  delete process.env['EXAMPLE_SHOPS'];
  await agent.stop();
  await stand[Symbol.asyncDispose]();
});

const findShops = async () => {
  const { run } = await stand.orchestrator.runs.trigger('find-shops', {}, ACTOR);
  expect((await stand.ended(run.id)).state).toBe('succeeded');
};

const totalIs = (pieces: number) =>
  stand.until(`a total of ${pieces}`, async () => {
    await stand.look();
    const { lastMaterialization } = await stand.orchestrator.assets.get('example/total_stock');
    return lastMaterialization?.metadata['pieces'] === pieces;
  });

describe('the example of shops', () => {
  it('counts the stock of each shop on the list, and of one that opens later, without being asked', async () => {
    await findShops();
    await totalIs(1_700);
    process.env['EXAMPLE_SHOPS'] = 'berlin,paris,warsaw,oslo';
    await findShops();
    await totalIs(2_100);
    const { missing, total } =
      await stand.orchestrator.assets.partitionCounts('example/shop_stock');
    expect([missing, total]).toEqual([0, 4]);
  });
});
