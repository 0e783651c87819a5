import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  first,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

async function waitOf(runId: string, key: string) {
  const tasks = await stand.orchestrator.runs.tasks(runId);
  return tasks.find((task) => task.key === key)?.waitsFor;
}

describe('what a ready task waits for', () => {
  it('is told by name: the pool, the queue and its limits, the agent, the labels', async () => {
    const { orchestrator } = stand;
    const tasks = [
      { key: 'plain' },
      { key: 'pooled', pool: 'small' },
      { key: 'greedy', pool: 'two', poolSlots: 50 },
      { key: 'labelled', requires: { gpu: 'true' } },
      { key: 'elsewhere', queue: 'nobody' },
    ];
    const agent = await registerAgent(orchestrator, {
      queues: ['told'],
      definitions: [workflow('told', tasks, { queue: 'told' })],
    });
    await orchestrator.pools.set('small', { max: 0 }, ACTOR);
    await orchestrator.pools.set('two', { max: 2 }, ACTOR);
    const run = await trigger(orchestrator, 'told');
    expect(await waitOf(run, 'plain')).toMatchObject({ reason: 'no-slot', name: 'told' });
    expect(await waitOf(run, 'pooled')).toMatchObject({
      reason: 'pool-full',
      name: 'small',
      message: 'the pool small is full: 0 of 0 slots are in use, and it needs 1',
    });
    expect(await waitOf(run, 'greedy')).toMatchObject({
      reason: 'pool-full',
      name: 'two',
      message: expect.stringMatching(
        /^it can never start: it needs 50 slots, and the pool two has 2; .*pools set two --max 50/,
      ),
    });
    expect(await waitOf(run, 'labelled')).toMatchObject({
      reason: 'no-agent-with-labels',
      message: 'no agent of told has gpu=true',
    });
    expect(await waitOf(run, 'elsewhere')).toMatchObject({
      reason: 'no-agent',
      message: 'no agent serves the queue nobody',
    });
    await orchestrator.queues.set('told', { concurrency: 0 }, ACTOR);
    expect(await waitOf(run, 'plain')).toMatchObject({
      reason: 'queue-limit',
      message: 'the queue told is at the limit: 0 of 0 run',
    });
    await orchestrator.queues.set('told', { paused: true }, ACTOR);
    expect(await waitOf(run, 'plain')).toMatchObject({ reason: 'queue-paused' });
    await orchestrator.queues.set('told', { paused: false, concurrency: null }, ACTOR);
    await orchestrator.queues.set('told', { rateLimit: { count: 1, per: '1h' } }, ACTOR);
    const claimed = first(await agent.claim(1));
    expect(claimed.taskKey).toBe('plain');
    const second = await trigger(orchestrator, 'told');
    expect(await waitOf(second, 'plain')).toMatchObject({
      reason: 'queue-rate',
      message: 'the queue told is at the rate of 1 in 1h',
    });
    const queue = (await orchestrator.queues.list()).find(({ name }) => name === 'told');
    expect(queue).toMatchObject({ running: 1, waiting: 2, rateLimit: { count: 1, per: '1h' } });
    expect(queue?.waitingSince).not.toBe(null);
  });

  it('names the run that holds a concurrency key, and the limits of task and workflow', async () => {
    const { orchestrator } = stand;
    const definitions = [
      workflow(
        'holding',
        [
          // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
          { key: 'keyed', concurrency: { key: 'tenant-${parameters.tenant}', limit: 1 } },
          { key: 'single', maxActive: 1 },
        ],
        { queue: 'holding', maxActiveTasks: 2 },
      ),
      workflow('wide', [{ key: 'a' }, { key: 'b' }], { queue: 'holding', maxActiveTasks: 1 }),
    ];
    const agent = await registerAgent(orchestrator, { queues: ['holding'], definitions });
    const parameters = { tenant: 'acme' };
    const holder = await trigger(orchestrator, 'holding', { parameters });
    let claimed = await agent.claim(9, 5_000);
    if (claimed.length < 2) claimed = [...claimed, ...(await agent.claim(9, 5_000))];
    const next = await trigger(orchestrator, 'holding', { parameters });
    expect(await waitOf(next, 'keyed')).toMatchObject({
      reason: 'concurrency-key',
      name: 'tenant-acme',
      runId: holder,
      message: `the concurrency key tenant-acme is taken (1 of 1), held by run ${holder}`,
    });
    expect(await waitOf(next, 'single')).toMatchObject({ reason: 'task-limit', runId: holder });
    const wide = await trigger(orchestrator, 'wide');
    const [one] = await agent.claim(9, 5_000);
    expect(await waitOf(wide, one?.taskKey === 'a' ? 'b' : 'a')).toMatchObject({
      reason: 'workflow-limit',
      message: 'the workflow wide is at its limit: 1 of 1 run',
    });
    expect(await waitOf(wide, one?.taskKey ?? '')).toBe(undefined);
  });
});
