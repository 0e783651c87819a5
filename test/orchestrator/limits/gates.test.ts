import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Assignment } from '../../../domain/agent-protocol.ts';
import {
  ended,
  first,
  type HandAgent,
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

/** What runs now of each kind, and the most that ever ran. */
function counting(kindOf: (task: Assignment) => string) {
  const running = new Map<string, number>();
  const most = new Map<string, number>();
  return {
    most,
    begun(task: Assignment) {
      const kind = kindOf(task);
      const now = (running.get(kind) ?? 0) + 1;
      running.set(kind, now);
      most.set(kind, Math.max(most.get(kind) ?? 0, now));
    },
    over(task: Assignment) {
      const kind = kindOf(task);
      running.set(kind, (running.get(kind) ?? 0) - 1);
    },
  };
}

/** Works until so many are done. Each is under way for a while; some fail and are tried again. */
async function work(
  agent: HandAgent,
  count: ReturnType<typeof counting>,
  done: { left: number },
): Promise<void> {
  while (done.left > 0) {
    const tasks = await agent.claim(4, 200);
    for (const task of tasks) count.begun(task);
    for (const task of tasks) {
      await new Promise((next) => setImmediate(next));
      const fails = task.attempt === 1 && Number(task.parameters.n) % 7 === 0;
      // Told before it is recorded: from then on another one may begin.
      count.over(task);
      await agent.complete([ended(task, fails ? 'failed' : 'succeeded')], 0);
      if (!fails) done.left -= 1;
    }
  }
}

describe('gates of tasks', () => {
  it('never runs more than the limits of task, workflow and key, with two servers, several agents and retries', async () => {
    const other = await stand.another();
    const definitions = [
      workflow(
        'gated',
        [
          { key: 'a', maxActive: 3, retries: 2 },
          {
            key: 'b',
            retries: 2,
            // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
            concurrency: { key: 'tenant-${parameters.tenant}', limit: 1 },
          },
        ],
        { queue: 'gated', maxActiveTasks: 5 },
      ),
    ];
    const options = { queues: ['gated'], definitions };
    const agents = [
      await registerAgent(stand.orchestrator, options),
      await registerAgent(other, options),
      await registerAgent(stand.orchestrator, options),
      await registerAgent(other, options),
    ];
    const runs = Array.from({ length: 60 }, (_, n) => ({ parameters: { n, tenant: n % 4 } }));
    await stand.orchestrator.runs.triggerBatch('gated', runs, ACTOR);
    const tasks = counting(({ taskKey, parameters }) =>
      taskKey === 'a' ? 'a' : `b ${parameters.tenant}`,
    );
    const all = counting(() => 'all');
    const both = {
      most: all.most,
      begun(task: Assignment) {
        tasks.begun(task);
        all.begun(task);
      },
      over(task: Assignment) {
        tasks.over(task);
        all.over(task);
      },
    };
    const done = { left: 120 };
    await Promise.all(agents.map((agent) => work(agent, both, done)));
    expect(Object.fromEntries(tasks.most)).toEqual({
      a: 3,
      'b 0': 1,
      'b 1': 1,
      'b 2': 1,
      'b 3': 1,
    });
    expect(all.most.get('all')).toBe(5);
    expect(await stand.sql('SELECT 1 FROM signalbox.task_live')).toEqual([]);
  });

  it('gives a slot back when its task is cancelled, lost with its agent, or handed back', async () => {
    const { orchestrator } = stand;
    const definitions = [
      workflow('leaving', [{ key: 'only', maxActive: 1 }], { queue: 'leaving' }),
    ];
    const dying = await registerAgent(orchestrator, { queues: ['leaving'], definitions });
    const agent = await registerAgent(orchestrator, { name: 'other', queues: ['leaving'] });
    const lost = await trigger(orchestrator, 'leaving', { priority: 9 });
    const held = first(await dying.claim(5, 5_000));
    expect(held.runId).toBe(lost);
    const next = await trigger(orchestrator, 'leaving');
    expect(await agent.claim(5, 300)).toEqual([]);
    await orchestrator.agents.died(dying.sessionId, { reason: 'killed' });
    // It stands before the other, since it is the more urgent one.
    const again = first(await agent.claim(5, 5_000));
    expect([again.runId, again.attempt]).toEqual([lost, 2]);
    await orchestrator.runs.cancel(lost, 'not needed', ACTOR);
    await agent.complete([ended(again, 'cancelled')], 0);
    const last = first(await agent.claim(5, 5_000));
    expect(last.runId).toBe(next);
    await agent.stop();
    const heir = await registerAgent(orchestrator, { name: 'heir', queues: ['leaving'] });
    expect(first(await heir.claim(5, 5_000)).runId).toBe(next);
  });

  it('lets others by while many wait for one key, and counts a limit of one run for that run alone', async () => {
    const { orchestrator } = stand;
    const definitions = [
      workflow(
        'keyed',
        [
          // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
          { key: 'only', concurrency: { key: '${parameters.customer}', limit: 1 } },
        ],
        { queue: 'keyed', maxActiveTasks: 3 },
      ),
      workflow('perrun', [{ key: 'x', maxActivePerRun: 1 }], { queue: 'keyed' }),
    ];
    const agent = await registerAgent(orchestrator, { queues: ['keyed'], definitions });
    const many = Array.from({ length: 200 }, () => ({ parameters: { customer: 'large' } }));
    await orchestrator.runs.triggerBatch('keyed', many, ACTOR);
    const one = first(await agent.claim(10, 5_000));
    expect(one.parameters).toEqual({ customer: 'large' });
    await trigger(orchestrator, 'keyed', { parameters: { customer: 'small' } });
    expect((await agent.claim(10, 5_000)).map(({ parameters }) => parameters)).toEqual([
      { customer: 'small' },
    ]);
    await trigger(orchestrator, 'perrun');
    await trigger(orchestrator, 'perrun');
    const two = await agent.claim(10, 5_000);
    const more = two.length < 2 ? await agent.claim(10, 5_000) : [];
    expect([...two, ...more].length).toBe(2);
  });

  it('starts nothing of a paused run, and lets it through when it is resumed', async () => {
    const { orchestrator } = stand;
    const definitions = [
      workflow('resting', [{ key: 'only', maxActive: 1 }], { queue: 'resting' }),
    ];
    const agent = await registerAgent(orchestrator, { queues: ['resting'], definitions });
    await trigger(orchestrator, 'resting');
    const held = first(await agent.claim(5, 5_000));
    const second = await trigger(orchestrator, 'resting');
    await orchestrator.runControl.pause(second, {}, ACTOR);
    await agent.succeed(held);
    expect(await agent.claim(5, 400)).toEqual([]);
    const third = await trigger(orchestrator, 'resting');
    const passed = first(await agent.claim(5, 5_000));
    expect(passed.runId).toBe(third);
    await orchestrator.runControl.resume(second, {}, ACTOR);
    expect(await agent.claim(5, 300)).toEqual([]);
    await agent.succeed(passed);
    expect(first(await agent.claim(5, 5_000)).runId).toBe(second);
  });
});
