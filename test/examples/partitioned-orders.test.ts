/** The example of a daily partitioned chain, with the day on which clocks change. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/partitioned-orders.ts', import.meta.url));
const ACTOR = { name: 'token:test' };

let agents: AgentStand;
let agent: RunningAgent;

beforeAll(async () => {
  agents = await startAgentStand();
  const loaded = await loadWorkflows([FILE]);
  expect(loaded.errors).toEqual([]);
  agent = startAgent({
    ...{ name: 'examples', queues: ['default'], concurrency: 10 },
    transport: inProcessTransport(agents.stand.orchestrator.agents),
    definitions: registryOf(loaded),
    log: (message) => agents.told.push(message),
  });
  await waitFor(() => agent.sessionId());
});

afterAll(async () => {
  await agent.stop();
  await agents[Symbol.asyncDispose]();
});

async function make(key: string, from: string, to: string) {
  const { assets, reconcilers } = agents.stand.orchestrator;
  const { runs } = await assets.materializePartitions(key, { partitions: { from, to } }, ACTOR);
  const promoter = reconcilers.find(({ name }) => name === 'run-promoter');
  const results = [];
  for (const { id } of runs) {
    await promoter?.run();
    expect((await agents.ended(id)).state).toBe('succeeded');
    results.push((await agents.results(id))[key]);
  }
  return results;
}

describe('the example of partitions', () => {
  it('makes a month of days, of which the one that has 23 hours has fewer orders', async () => {
    const orders = await make('example/daily_orders', '2026-03-01', '2026-03-31');
    expect(orders).toHaveLength(31);
    expect((orders[27] as unknown[]).length).toBe(48);
    expect((orders[28] as unknown[]).length).toBe(46);
  });

  it('makes days from days, weeks from windows, and the month from all of its days', async () => {
    await make('example/daily_revenue', '2026-03-01', '2026-03-31');
    const [, ...trend] = await make('example/orders_trend', '2026-03-07', '2026-03-08');
    expect(trend).toEqual([{ day: '2026-03-08', days: 7, change: expect.any(Number) }]);
    const [month] = await make('example/monthly_revenue', '2026-03', '2026-03');
    expect(month).toMatchObject({ month: '2026-03', days: 31 });
  });

  it('refuses a month of which a day is missing, and names it', async () => {
    const { assets } = agents.stand.orchestrator;
    const request = { partitions: ['2026-02'] };
    const { runs } = await assets.materializePartitions('example/monthly_revenue', request, ACTOR);
    const run = await agents.ended(runs[0]?.id ?? '');
    expect(run.state).toBe('failed');
    expect(run.error?.message).toContain('the partition 2026-02-01 of example/daily_revenue');
  });
});
