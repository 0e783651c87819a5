import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { type LoadedWorkflows, loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const FOLDER = fileURLToPath(new URL('../../examples', import.meta.url));
const ACTOR = { name: 'token:test' };
const ASSETS = ['example/raw_customers', 'example/clean_customers', 'example/customers_by_country'];

let agents: AgentStand;
let agent: RunningAgent;
let loaded: LoadedWorkflows;

beforeAll(async () => {
  agents = await startAgentStand();
  loaded = await loadWorkflows([FOLDER]);
  const { agents: service } = agents.stand.orchestrator;
  agent = startAgent({
    ...{ name: 'examples', queues: ['default'], concurrency: 10 },
    transport: inProcessTransport(service, ({ lines }) => agents.lines.push(...lines)),
    definitions: registryOf(loaded),
    log: (message) => agents.told.push(message),
  });
  await waitFor(() => agent.sessionId());
});

afterAll(async () => {
  await agent.stop();
  await agents[Symbol.asyncDispose]();
});

async function materialize(keys: readonly string[]) {
  const run = await agents.stand.orchestrator.assets.materialize(keys, {}, ACTOR);
  return agents.ended(run.id);
}

describe('the examples', () => {
  it('load without a fault', () => {
    expect(loaded.errors).toEqual([]);
    expect(loaded.definitions.map(({ name }) => name)).toEqual(
      expect.arrayContaining([...ASSETS, 'daily-orders', 'fan-out', 'regional-sales']),
    );
  });

  it('book the revenue of a day once, however often the day is run', async () => {
    const { orchestrator } = agents.stand;
    const runs = await Promise.all(
      [1, 2].map(async () => {
        const request = { logicalDate: '2026-01-02T00:00:00Z' };
        const { run } = await orchestrator.runs.trigger('daily-orders', request, ACTOR);
        return agents.ended(run.id);
      }),
    );
    expect(runs.map(({ state }) => state)).toEqual(['succeeded', 'succeeded']);
    const [first, second] = await Promise.all(runs.map(({ id }) => agents.results(id)));
    expect(first?.['book']).toEqual({ day: expect.any(String), revenue: expect.any(Number) });
    expect(second?.['book']).toEqual(first?.['book']);
    await waitFor(() => agents.lines.some(({ message }) => message === 'revenue booked'));
    expect(agents.lines.filter(({ message }) => message === 'revenue booked')).toHaveLength(1);
  });

  it('square numbers in steps and add them up', async () => {
    const run = await agents.run('fan-out');
    expect(await agents.results(run.id)).toMatchObject({ flow: { n: 5, sum: 30 } });
  });

  it('make customers by country out of the source', async () => {
    const run = await materialize(ASSETS);
    expect(run.state).toBe('succeeded');
    expect(await agents.results(run.id)).toMatchObject({
      'example/customers_by_country': { de: 9, fr: 9, pl: 9, se: 9 },
    });
    const { checks } = await agents.stand.orchestrator.assets.get('example/clean_customers');
    expect(checks).toEqual([expect.objectContaining({ name: 'unique', passed: true })]);
  });

  it('fail as their comments say when the source is down, and keep the last good version', async () => {
    process.env['EXAMPLE_SOURCE_DOWN'] = '1';
    try {
      expect((await materialize(['example/raw_customers'])).state).toBe('failed');
      expect((await materialize(['example/clean_customers'])).state).toBe('succeeded');
    } finally {
      delete process.env['EXAMPLE_SOURCE_DOWN'];
    }
  });
});
