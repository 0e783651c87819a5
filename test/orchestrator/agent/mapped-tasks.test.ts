import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { workflow } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const ACTOR = { name: 'token:test' };
let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
});
afterAll(() => agents[Symbol.asyncDispose]());

async function runOf(definition: Definition, parameters = {}) {
  const agent = await agents.start([definition]);
  try {
    return await agents.run(definition.name, parameters);
  } finally {
    await agent.stop();
  }
}

describe('a mapped task', () => {
  it('runs once for each item, with attempts and a log of its own, and gives results in order', async () => {
    const run = await runOf(
      workflow('map', {}, (w) => {
        const list = w.task('list', {}, () => ['a', 'b', 'c']);
        const each = w.map(
          'each',
          { over: list, retries: 1, retryDelay: 0 },
          (ctx, item, index) => {
            if (index === 1 && ctx.attempt === 1) throw new Error('once');
            ctx.log.info(`got ${item}`);
            return `${item}${index}`;
          },
        );
        w.task('join', { after: [each] }, (ctx) => ctx.result(each));
      }),
    );
    expect(run.state).toBe('succeeded');
    const tasks = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(tasks.map(({ key, state, attempt }) => [key, state, attempt])).toEqual([
      ['list', 'succeeded', 1],
      ['each', 'succeeded', 1],
      ['each[0]', 'succeeded', 1],
      ['each[1]', 'succeeded', 2],
      ['each[2]', 'succeeded', 1],
      ['join', 'succeeded', 1],
    ]);
    expect(tasks.find(({ key }) => key === 'each[1]')).toMatchObject({
      mappedFrom: 'each',
      dependsOn: ['list'],
    });
    expect(tasks.at(-1)?.result).toEqual(['a0', 'b1', 'c2']);
    const line = await waitFor(() => agents.lines.find(({ message }) => message === 'got c'));
    expect(line.taskKey).toBe('each[2]');
  });

  it('takes a list that code makes of the parameters, and the entries of an object', async () => {
    const run = await runOf(
      workflow(
        'map-parameters',
        {
          parameters: {
            type: 'object',
            properties: { rates: { type: 'object', additionalProperties: { type: 'number' } } },
            required: ['rates'],
          },
        },
        (w) => {
          const over = (parameters: unknown) =>
            (parameters as { rates: Record<string, number> }).rates;
          w.map('each', { over }, (_ctx, [currency, rate]) => `${currency}=${rate}`);
        },
      ),
      { rates: { EUR: 1, USD: 2 } },
    );
    const results = await agents.results(run.id);
    expect([results['each[0]'], results['each[1]']]).toEqual(['EUR=1', 'USD=2']);
  });

  it('maps over what another one gave', async () => {
    const run = await runOf(
      workflow('map-chain', {}, (w) => {
        const list = w.task('list', {}, () => [1, 2, 3]);
        const squares = w.map('squares', { over: list }, (ctx, n) =>
          n === 2 ? ctx.skip('even') : n * n,
        );
        const halves = w.map('halves', { over: squares }, (_ctx, n) => n / 2);
        w.task('all', { after: [halves] }, (ctx) => ctx.result(halves));
      }),
    );
    expect((await agents.results(run.id))['all']).toEqual([0.5, 4.5]);
  });

  it('runs thousands of items on several agents, at most so many at a time, asking for the list once an agent', async () => {
    const asked = { count: 0 };
    let running = 0;
    let most = 0;
    const definition = workflow('map-many', {}, (w) => {
      const list = w.task('list', {}, () => Array.from({ length: 3_000 }, (_, index) => index));
      const each = w.map('each', { over: list, concurrency: 40 }, async (_ctx, item) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return item;
      });
      w.task('sum', { after: [each] }, async (ctx) =>
        (await ctx.result(each)).reduce((sum, one) => sum + one, 0),
      );
    });
    const { orchestrator } = agents.stand;
    const { result } = orchestrator.agents;
    orchestrator.agents.result = (...args) => {
      asked.count += 1;
      return result(...args);
    };
    const both = await Promise.all(
      ['one', 'two'].map((name) => agents.start([definition], { name, concurrency: 30 })),
    );
    const run = await agents.run('map-many');
    orchestrator.agents.result = result;
    expect(run.state).toBe('succeeded');
    expect((await agents.results(run.id))['sum']).toBe((2_999 * 3_000) / 2);
    expect(most).toBeLessThanOrEqual(40);
    expect(asked.count).toBeLessThanOrEqual(3);
    const tasks = await orchestrator.runs.tasks(run.id);
    expect(new Set(tasks.flatMap(({ agent }) => agent ?? []))).toEqual(new Set(['one', 'two']));
    await Promise.all(both.map((agent) => agent.stop()));
  });

  it('fails where its list has too many items, and says so on its own page', async () => {
    const run = await runOf(
      workflow('map-too-many', {}, (w) => {
        const list = w.task('list', {}, () => [1, 2, 3]);
        w.map('each', { over: list, maxItems: 2 }, () => 1);
      }),
    );
    const message =
      'it maps over the result of "list", which has 3 items, and at most 2 are allowed';
    expect(run.error).toMatchObject({
      name: 'TooManyItems',
      message: expect.stringContaining(message),
    });
    const [, each] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(each).toMatchObject({ state: 'failed', error: { name: 'TooManyItems' } });
  });

  it('has failed where an item has, and only that runs again when the run is tried once more', async () => {
    let broken = true;
    const ran: number[] = [];
    const definition = workflow('map-retry', {}, (w) => {
      const list = w.task('list', {}, () => [0, 1, 2]);
      const each = w.map('each', { over: list }, (_ctx, item) => {
        ran.push(item);
        if (item === 1 && broken) throw new Error('broken');
        return item;
      });
      w.task('sum', { after: [each] }, (ctx) => ctx.result(each));
    });
    const agent = await agents.start([definition]);
    const run = await agents.run('map-retry');
    expect(run).toMatchObject({ state: 'failed', error: { message: 'each[1]: broken' } });
    const tasks = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(tasks.find(({ key }) => key === 'sum')).toMatchObject({
      state: 'upstream-failed',
      reason: 'each failed',
    });
    broken = false;
    await agents.stand.orchestrator.runs.retry(run.id, ACTOR);
    expect((await agents.ended(run.id)).state).toBe('succeeded');
    expect(ran).toEqual([0, 1, 2, 1]);
    expect((await agents.results(run.id))['sum']).toEqual([0, 1, 2]);
    await agent.stop();
  });

  it('stops all its items when the run is cancelled', async () => {
    const definition = workflow('map-cancel', {}, (w) => {
      const list = w.task('list', {}, () => [1, 2, 3, 4]);
      w.map('each', { over: list, concurrency: 2 }, (ctx) => {
        return new Promise((_, reject) => {
          ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason));
        });
      });
    });
    const agent = await agents.start([definition]);
    const { orchestrator } = agents.stand;
    const runId = await trigger(orchestrator, 'map-cancel');
    await waitFor(async () => {
      const tasks = await orchestrator.runs.tasks(runId);
      return tasks.filter(({ key, state }) => key !== 'each' && state === 'running').length === 2;
    });
    await orchestrator.runs.cancel(runId, 'enough', ACTOR);
    expect((await agents.ended(runId)).state).toBe('cancelled');
    const tasks = await orchestrator.runs.tasks(runId);
    expect(tasks.slice(1).map(({ state }) => state)).toEqual(Array(5).fill('cancelled'));
    await agent.stop();
  });

  it('of items that give much is listed without the results that are too much together', async () => {
    const run = await runOf(
      workflow('map-large', {}, (w) => {
        const list = w.task('list', {}, () => Array.from({ length: 160 }, (_, index) => index));
        // Text that PostgreSQL cannot make smaller than three quarters of it.
        w.map('each', { over: list }, () => randomBytes(180_000).toString('base64'));
      }),
    );
    const tasks = await agents.stand.orchestrator.runs.tasks(run.id);
    const results = tasks.filter(({ mappedFrom }) => mappedFrom).map(({ result }) => result);
    expect(results).toHaveLength(160);
    expect(results[0]).not.toBe(null);
    expect(results[159]).toBe(null);
  });

  it('is told of in run events with the keys of its items', async () => {
    const run = await runOf(
      workflow('map-events', {}, (w) => {
        const list = w.task('list', {}, () => [1, 2]);
        w.map('each', { over: list }, () => 1);
      }),
    );
    const keys: string[] = [];
    for (let watermark: string | null = null, caughtUp = false; !caughtUp; ) {
      const batch = await agents.stand.orchestrator.events.readAfter(watermark, 10_000);
      const own = batch.runEvents.filter(({ runId }) => runId === run.id);
      keys.push(...own.map(({ taskKey }) => taskKey));
      ({ watermark, caughtUp } = batch);
    }
    expect(keys.filter((key) => key !== '')).toEqual(
      expect.arrayContaining(['list', 'each[0]', 'each[1]']),
    );
  });
});
