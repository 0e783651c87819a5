import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { flow, workflow } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const ACTOR = { name: 'token:test' };
let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
});
afterAll(() => agents[Symbol.asyncDispose]());

/** Runs it with an agent of its own. */
async function runOf(definition: Definition, others: readonly Definition[]) {
  const agent = await agents.start([definition, ...others]);
  try {
    return await agents.run(definition.name);
  } finally {
    await agent.stop();
  }
}

describe('subflow tasks', () => {
  const child = flow(
    'child',
    {
      parameters: {
        type: 'object',
        properties: { n: { type: 'integer' } },
        required: ['n'],
      } as const,
    },
    (_ctx, { n }) => n * 2,
  );

  it('run another workflow with what tasks before gave, and give its result', async () => {
    const parent = workflow('subflow-parent', {}, (w) => {
      const n = w.task('n', {}, () => 21);
      const doubled = w.subflow('doubled', {
        after: [n],
        workflow: child,
        parameters: async (ctx) => ({ n: await ctx.result(n) }),
      });
      w.task('show', { after: [doubled] }, (ctx) => ctx.result(doubled));
    });
    const run = await runOf(parent, [child]);
    expect(run.state).toBe('succeeded');
    expect((await agents.results(run.id))['show']).toBe(42);
    const { items } = await agents.stand.orchestrator.runs.list({ workflow: 'child' });
    expect(items[0]).toMatchObject({ parentRunId: run.id, trigger: 'subflow' });
  });

  it('start another run for each try, and hold no slot while they wait', async () => {
    let tries = 0;
    const flaky = flow('flaky-child', {}, () => {
      tries += 1;
      if (tries === 1) throw new Error('not yet');
      return 'done';
    });
    const parent = workflow('subflow-retry', {}, (w) => {
      w.subflow('sub', { workflow: 'flaky-child', retries: 1, retryDelay: 0 });
    });
    const agent = await agents.start([parent, flaky], { concurrency: 1 });
    const run = await agents.run('subflow-retry');
    expect([run.state, tries]).toEqual(['succeeded', 2]);
    expect((await agents.results(run.id))['sub']).toBe('done');
    await agent.stop();
  });

  it('are over at once where nobody waits', async () => {
    const parent = workflow('subflow-no-wait', {}, (w) => {
      w.subflow('sub', { workflow: child, parameters: { n: 1 }, wait: false });
    });
    const run = await runOf(parent, [child]);
    expect((await agents.results(run.id))['sub']).toEqual({ runId: expect.any(String) });
  });

  it('cancel their runs when they are cancelled', async () => {
    const endless = flow('endless', {}, (ctx) => ctx.sleep('long', '1h'));
    const parent = workflow('subflow-cancel', {}, (w) => {
      w.subflow('sub', { workflow: endless });
    });
    const agent = await agents.start([parent, endless]);
    const { orchestrator } = agents.stand;
    const runId = await trigger(orchestrator, 'subflow-cancel');
    const started = await waitFor(async () => {
      const { items } = await orchestrator.runs.list({ workflow: 'endless' });
      return items.find(({ state }) => state === 'running');
    });
    await orchestrator.runs.cancel(runId, 'enough', ACTOR);
    expect((await agents.ended(runId)).state).toBe('cancelled');
    expect((await agents.ended(started.id)).state).toBe('cancelled');
    await agent.stop();
  });
});
