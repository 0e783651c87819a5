import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chain,
  ended,
  first,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
} from './stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('limits', () => {
  it('claims by priority of task and run, then by age', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['order'],
      definitions: [
        workflow(
          'order',
          [{ key: 'low', priority: -1 }, { key: 'mid' }, { key: 'high', priority: 5 }],
          {
            queue: 'order',
          },
        ),
      ],
    });
    const older = await trigger(orchestrator, 'order');
    const urgent = await trigger(orchestrator, 'order', { priority: 100 });
    const claimed: string[] = [];
    for (let index = 0; index < 6; index += 1) {
      const task = first(await agent.claim(1));
      claimed.push(
        `${task.runId === urgent ? 'urgent' : task.runId === older ? 'older' : '?'} ${task.taskKey}`,
      );
    }
    expect(claimed).toEqual([
      'urgent high',
      'urgent mid',
      'urgent low',
      'older high',
      'older mid',
      'older low',
    ]);
  });

  it('serves only the queues of a session', async () => {
    const { orchestrator } = stand;
    const one = await registerAgent(orchestrator, {
      queues: ['one'],
      definitions: [workflow('two', chain(1), { queue: 'two' })],
    });
    const two = await registerAgent(orchestrator, { queues: ['three', 'two'] });
    await trigger(orchestrator, 'two');
    expect(await one.claim()).toEqual([]);
    expect((await two.claim()).length).toBe(1);
  });

  it('starts nothing of a paused queue, also nothing that becomes ready by a completion', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['pausing'],
      definitions: [workflow('pausing', chain(2), { queue: 'pausing' })],
    });
    await trigger(orchestrator, 'pausing');
    const task = first(await agent.claim());
    await orchestrator.queues.set('pausing', { paused: true }, ACTOR);
    expect((await agent.complete([ended(task, 'succeeded')], 5)).assignments).toEqual([]);
    expect(await agent.claim()).toEqual([]);
    const waiting = agent.claim(5, 10_000);
    await orchestrator.queues.set('pausing', { paused: false }, ACTOR);
    expect((await waiting).map(({ taskKey }) => taskKey)).toEqual(['t1']);
  });

  it('keeps the limit of a queue exactly while two servers claim at once', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const agents = [
      await registerAgent(orchestrator, {
        queues: ['narrow'],
        definitions: [workflow('narrow', chain(1), { queue: 'narrow' })],
      }),
      await registerAgent(other, { queues: ['narrow'] }),
    ];
    await orchestrator.queues.set('narrow', { concurrency: 5 }, ACTOR);
    await orchestrator.runs.triggerBatch(
      'narrow',
      Array.from({ length: 40 }, () => ({})),
      ACTOR,
    );
    const claimed = (
      await Promise.all(agents.flatMap((agent) => [agent.claim(4), agent.claim(4)]))
    ).flat();
    expect(claimed.length).toBe(5);
    expect(await first(agents).succeed(first(claimed))).toBe('recorded');
    expect((await Promise.all(agents.map((agent) => agent.claim()))).flat().length).toBe(1);
  });

  it('keeps the slots of a pool exactly while two servers claim at once, and wakes who waits for one', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const tasks = Array.from({ length: 30 }, (_, index) => ({
      key: `t${index}`,
      pool: 'seats',
      poolSlots: 2,
    }));
    const agents = [
      await registerAgent(orchestrator, {
        queues: ['seated'],
        definitions: [workflow('seated', [...tasks, { key: 'free' }], { queue: 'seated' })],
      }),
      await registerAgent(other, { queues: ['seated'] }),
    ];
    await orchestrator.pools.set('seats', { max: 7 }, ACTOR);
    await trigger(orchestrator, 'seated');
    const claimed = (
      await Promise.all(agents.flatMap((agent) => [agent.claim(9), agent.claim(9)]))
    ).flat();
    expect(claimed.filter(({ taskKey }) => taskKey === 'free').length).toBe(1);
    const seated = claimed.filter(({ taskKey }) => taskKey !== 'free');
    expect(seated.length).toBe(3);
    const waiting = agents.map((agent) => agent.claim(9, 10_000));
    await first(agents).succeed(first(seated));
    expect((await Promise.race(waiting)).length).toBe(1);
    await orchestrator.pools.set('seats', { max: 9 }, ACTOR);
    expect((await Promise.all(waiting)).flat().length).toBe(2);
  });

  it('does not limit tasks of a pool that nobody made', async () => {
    const { orchestrator } = stand;
    const tasks = Array.from({ length: 4 }, (_, index) => ({ key: `t${index}`, pool: 'nowhere' }));
    const agent = await registerAgent(orchestrator, {
      queues: ['unlimited'],
      definitions: [workflow('unlimited', tasks, { queue: 'unlimited' })],
    });
    await trigger(orchestrator, 'unlimited');
    expect((await agent.claim()).length).toBe(4);
  });

  it('shares what is ready fairly between agents that wait', async () => {
    const { orchestrator } = stand;
    const agents = await Promise.all(
      Array.from({ length: 4 }, () =>
        registerAgent(orchestrator, {
          queues: ['fair'],
          definitions: [workflow('fair', chain(1), { queue: 'fair' })],
        }),
      ),
    );
    // Nothing is given out before all of them wait.
    await orchestrator.queues.set('fair', { paused: true }, ACTOR);
    await orchestrator.runs.triggerBatch(
      'fair',
      Array.from({ length: 40 }, () => ({})),
      ACTOR,
    );
    const waiting = agents.map((agent) => agent.claim(100, 10_000));
    await orchestrator.queues.set('fair', { paused: false }, ACTOR);
    expect((await Promise.all(waiting)).map((tasks) => tasks.length)).toEqual([10, 10, 10, 10]);
  });

  it('makes ready again what was claimed for an agent that had gone', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['gone'],
      definitions: [workflow('gone', chain(1), { queue: 'gone' })],
    });
    await trigger(orchestrator, 'gone');
    const leaving = new AbortController();
    const claim = agent.claim(10, 10_000, leaving.signal);
    leaving.abort();
    expect(await claim).toEqual([]);
    expect(first(await agent.claim(10, 5_000)).attempt).toBe(1);
  });
});
