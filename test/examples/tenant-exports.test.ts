import { afterAll, beforeAll, expect, it } from 'vitest';
import tenantExports from '../../examples/tenant-exports.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { registerAgent } from '../orchestrator/dispatch/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const ACTOR = { name: 'token:test' };
let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
  await agents.start([tenantExports]);
});
afterAll(() => agents[Symbol.asyncDispose]());

it('queries anywhere, waits visibly for an agent with a large disk, and is replaced by a newer export', async () => {
  const { orchestrator, reconcile } = agents.stand;
  const parameters = { tenant: 'acme' };
  const older = (await orchestrator.runs.trigger('tenant-exports', { parameters }, ACTOR)).run.id;
  // First it passes the limit of the workflow, then nobody has the labels.
  await waitFor(async () => {
    const tasks = await orchestrator.runs.tasks(older);
    const waitsFor = tasks.find(({ key }) => key === 'write-archive')?.waitsFor;
    return waitsFor?.reason === 'no-agent-with-labels' && waitsFor.name === 'disk=large';
  });
  const newer = (await orchestrator.runs.trigger('tenant-exports', { parameters }, ACTOR)).run.id;
  await reconcile('concurrency-keys');
  expect((await agents.ended(older)).state).toBe('cancelled');
  const large = await registerAgent(orchestrator, {
    labels: { disk: 'large' },
    definitions: definitionsOf([tenantExports]).definitions,
  });
  const [task] = await large.claim(5, 10_000);
  expect([task?.runId, task?.taskKey]).toEqual([newer, 'write-archive']);
});
