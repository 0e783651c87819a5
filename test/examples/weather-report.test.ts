import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isResultReference } from '../../domain/result.ts';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/weather-report.ts', import.meta.url));
let agents: AgentStand;
let agent: RunningAgent;

beforeAll(async () => {
  agents = await startAgentStand();
  agent = startAgent({
    ...{ name: 'examples', queues: ['default'], concurrency: 10 },
    transport: inProcessTransport(agents.stand.orchestrator.agents),
    definitions: registryOf(await loadWorkflows([FILE])),
    log: (message) => agents.told.push(message),
  });
  await waitFor(() => agent.sessionId());
});

afterAll(async () => {
  await agent.stop();
  await agents[Symbol.asyncDispose]();
});

describe('the example of a weather report', () => {
  it('loads a day once, passes its many readings on, and shows a report for each run', async () => {
    const { results, runControl } = agents.stand.orchestrator;
    const first = await agents.run('weather-report');
    const second = await agents.run('weather-report');
    expect([first.state, second.state]).toEqual(['succeeded', 'succeeded']);
    const [one, two] = [await agents.results(first.id), await agents.results(second.id)];
    expect(isResultReference(one.load)).toBe(true);
    expect(two).toEqual(one);
    expect(await runControl.attempts(second.id, 'load')).toMatchObject([{ cachedFrom: first.id }]);
    const shown = await results.artifactsOfRun(first.id);
    expect(shown.map(({ key, version }) => [key, version])).toEqual([
      ...[
        ['stations', 1],
        ['summary', 1],
        ['warmest', 1],
      ],
    ]);
    expect(shown[1]?.value).toBe('# Weather of 2026-01-01\n\n**12000** readings.');
    expect((await results.artifacts({ key: 'summary' })).items.map(({ runId }) => runId)).toEqual([
      second.id,
      first.id,
    ]);
  });
});
