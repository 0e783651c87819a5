import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/supplier-files.ts', import.meta.url));

let agents: AgentStand;
let agent: RunningAgent;
let inbox: TempDir;

beforeAll(async () => {
  inbox = await makeTempDir('inbox');
  process.env['EXAMPLE_INBOX'] = inbox.path;
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
  delete process.env['EXAMPLE_INBOX'];
  await agent.stop();
  await agents[Symbol.asyncDispose]();
  await inbox.remove();
});

describe('the example of a supplier’s files', () => {
  it('loads each new file once, asks a person about an odd one, and reports what became of each', async () => {
    const { sensors, signals, runs } = agents.stand.orchestrator;
    const ACTOR = { name: 'token:jane' };
    await writeFile(join(inbox.path, '2026-01-01.csv'), 'row\n'.repeat(2_000));
    await writeFile(join(inbox.path, '2026-01-02.csv'), 'row\n'.repeat(10));
    await sensors.tick('supplier-files', ACTOR);
    const asked = await waitFor(async () => (await signals.openInputs({})).items[0], {
      what: 'the question',
    });
    expect(asked.message).toMatch(/2026-01-01.csv has 2000 rows/);
    await signals.answer(asked.runId, asked.key, { load: false }, ACTOR);
    expect((await agents.ended(asked.runId)).state).toBe('succeeded');
    expect(await agents.results(asked.runId)).toMatchObject({
      flow: { file: '2026-01-01.csv', rows: 2_000, loaded: false },
    });
    const reports = await waitFor(async () => {
      await agents.stand.reconcile('run-triggers');
      const { items } = await runs.list({ workflow: 'supplier-report' });
      return items.filter(({ finishedAt }) => finishedAt !== null).length === 2 && items;
    });
    const results = await Promise.all(reports.map(({ id }) => agents.results(id)));
    expect(results.map(({ flow }) => flow).sort()).toEqual([
      '2026-01-01.csv: 2000 rows, left out',
      '2026-01-02.csv: 10 rows, loaded',
    ]);
  });
});
