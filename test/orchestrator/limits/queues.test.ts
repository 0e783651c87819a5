import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  chain,
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
afterEach(() => stand.orchestrator.queues.set('*', { concurrency: null, paused: false }, ACTOR));

describe('queues', () => {
  it('takes from the queue with the higher priority first, whatever is older', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['slow', 'urgent'],
      definitions: [
        workflow('slow', chain(1), { queue: 'slow' }),
        workflow('urgent', chain(1), { queue: 'urgent' }),
      ],
    });
    await orchestrator.queues.set('urgent', { priority: 10 }, ACTOR);
    await trigger(orchestrator, 'slow', { priority: 50 });
    await trigger(orchestrator, 'urgent');
    const order = [first(await agent.claim(1)), first(await agent.claim(1))];
    expect(order.map((task) => task.workflow)).toEqual(['urgent', 'slow']);
    for (const task of order) await agent.succeed(task);
  });

  it('limits all tasks together, in whichever queue they are, with two servers', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const definitions = [
      workflow('first', [{ key: 'a' }, { key: 'b' }, { key: 'c' }], { queue: 'first' }),
      workflow('second', [{ key: 'a' }, { key: 'b', queue: 'first' }], { queue: 'second' }),
    ];
    const agents = [
      await registerAgent(orchestrator, { queues: ['first'], definitions }),
      await registerAgent(other, { queues: ['second'] }),
    ];
    await orchestrator.queues.set('*', { concurrency: 3 }, ACTOR);
    for (let n = 0; n < 4; n += 1) {
      await trigger(orchestrator, 'first');
      await trigger(other, 'second');
    }
    const claim = (agent: HandAgent) => agent.claim(9);
    const claimed = (await Promise.all([...agents, ...agents].map(claim))).flat();
    expect(claimed.length).toBe(3);
    expect((await Promise.all(agents.map(claim))).flat()).toEqual([]);
    await orchestrator.queues.set('*', { paused: true, concurrency: null }, ACTOR);
    expect((await Promise.all(agents.map(claim))).flat()).toEqual([]);
    await orchestrator.queues.set('*', { paused: false }, ACTOR);
    const rest = [...((await agents[0]?.claim(99)) ?? []), ...((await agents[1]?.claim(99)) ?? [])];
    expect(rest.length).toBe(4 * 5 - 3);
  });

  it('starts no more tasks than the rate lets, counted over seconds and two servers', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const agents = [
      await registerAgent(orchestrator, {
        queues: ['rated'],
        definitions: [workflow('rated', [{ key: 'only' }], { queue: 'rated' })],
      }),
      await registerAgent(other, { queues: ['rated'] }),
    ];
    await orchestrator.queues.set('rated', { rateLimit: { count: 20, per: '1s' } }, ACTOR);
    await orchestrator.runs.triggerBatch(
      'rated',
      Array.from({ length: 300 }, () => ({})),
      ACTOR,
    );
    const startedAt = performance.now();
    let started = 0;
    const over: number[] = [];
    const take = async (agent: HandAgent) => {
      while (performance.now() - startedAt < 3_000) {
        const tasks = await agent.claim(50, 150);
        started += tasks.length;
        const allowed = 20 + (20 * (performance.now() - startedAt + 100)) / 1_000;
        if (started > allowed + 1) over.push(started - allowed);
      }
    };
    await Promise.all(agents.map(take));
    expect(over).toEqual([]);
    expect(started).toBeGreaterThan(50);
    expect(await orchestrator.queues.set('rated', { rateLimit: null }, ACTOR)).toMatchObject({
      rateLimit: null,
      ready: 300 - started,
    });
  });

  it('gives a fan-out of a limited queue out up to the limit at once', async () => {
    const { orchestrator } = stand;
    const tasks = Array.from({ length: 30 }, (_, index) => ({ key: `t${index}` }));
    await orchestrator.queues.set('fan', { concurrency: 8 }, ACTOR);
    const agent = await registerAgent(orchestrator, {
      queues: ['fan'],
      definitions: [workflow('fan', tasks, { queue: 'fan' })],
    });
    await trigger(orchestrator, 'fan');
    expect((await agent.claim(20, 5_000)).length).toBe(8);
  });

  it('refuses a rate, a priority and a limit that make no sense, and says why', async () => {
    const { queues } = stand.orchestrator;
    await expect(
      queues.set('odd', { rateLimit: { count: 1, per: 'often' } }, ACTOR),
    ).rejects.toThrow('duration from 100ms to 1d');
    await expect(queues.set('odd', { concurrency: -1 }, ACTOR)).rejects.toThrow('whole number');
    await expect(queues.set('odd', { priority: 1e6 }, ACTOR)).rejects.toThrow('whole number');
  });
});

describe('labels', () => {
  it('gives a task only to agents that have its labels, and it waits for one where none has', async () => {
    const { orchestrator } = stand;
    const definitions = [
      workflow(
        'training',
        [
          { key: 'anywhere' },
          { key: 'gpu', requires: { gpu: 'true' } },
          { key: 'gpu-eu', requires: { gpu: 'true', region: 'eu' } },
        ],
        { queue: 'labels' },
      ),
    ];
    const plain = await registerAgent(orchestrator, { queues: ['labels'], definitions });
    await trigger(orchestrator, 'training');
    const keys = (tasks: readonly { taskKey: string }[]) =>
      tasks.map(({ taskKey }) => taskKey).sort();
    expect(keys(await plain.claim(9, 2_000))).toEqual(['anywhere']);
    expect(await plain.claim(9)).toEqual([]);
    const gpu = await registerAgent(orchestrator, { queues: ['labels'], labels: { gpu: 'true' } });
    expect(keys(await gpu.claim(9))).toEqual(['gpu']);
    expect(await gpu.claim(9)).toEqual([]);
    const waiting = (
      await registerAgent(orchestrator, {
        queues: ['labels'],
        labels: { gpu: 'true', region: 'eu', zone: 'a' },
      })
    ).claim(9, 5_000);
    expect(keys(await waiting)).toEqual(['gpu-eu']);
  });

  it('keeps pool, queue and task limits of tasks with labels', async () => {
    const { orchestrator } = stand;
    const requires = { gpu: 'true' };
    const tasks = Array.from({ length: 6 }, (_, n) => ({ key: `p${n}`, pool: 'cards', requires }));
    const definitions = [
      workflow('cards', tasks, { queue: 'cards' }),
      workflow('single', [{ key: 'one', maxActive: 1, requires }], { queue: 'single' }),
    ];
    await orchestrator.pools.set('cards', { max: 2 }, ACTOR);
    const agent = await registerAgent(orchestrator, {
      ...{ queues: ['cards', 'single'], labels: requires, definitions },
    });
    await trigger(orchestrator, 'cards');
    expect((await agent.claim(9, 2_000)).length).toBe(2);
    await trigger(orchestrator, 'single');
    await trigger(orchestrator, 'single');
    const one = first(await agent.claim(9, 2_000));
    expect(await agent.claim(9, 300)).toEqual([]);
    await agent.succeed(one);
    expect((await agent.claim(9, 2_000)).map(({ taskKey }) => taskKey)).toEqual(['one']);
  });

  it('hands nothing with labels straight on to an agent that has not got them', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, {
      queues: ['onward'],
      definitions: [
        workflow(
          'onward',
          [{ key: 'load' }, { key: 'train', after: ['load'], requires: { gpu: 'true' } }],
          { queue: 'onward' },
        ),
      ],
    });
    await trigger(orchestrator, 'onward');
    const load = first(await agent.claim(5, 2_000));
    await agent.succeed(load);
    expect(await agent.claim(5, 300)).toEqual([]);
    const gpu = await registerAgent(orchestrator, { queues: ['onward'], labels: { gpu: 'true' } });
    expect(first(await gpu.claim(5, 2_000)).taskKey).toBe('train');
  });
});
