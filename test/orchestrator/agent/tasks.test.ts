import { NoRetryError, workflow } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const calls: Record<string, number> = {};
const count = (what: string) => {
  calls[what] = (calls[what] ?? 0) + 1;
  return calls[what];
};
const aborted: unknown[] = [];

const orders = workflow('orders', {}, (w) => {
  const extract = w.task('extract', {}, async () => ({ rows: 10 }));
  const same = w.task('same', { after: [extract] }, (ctx) => ctx.result(extract));
  w.task('load', { after: [same] }, async (ctx) => {
    const { rows } = await ctx.result(extract);
    ctx.log.info('loading', { rows, error: new Error('shown'), huge: 10n });
    return { rows: rows * 2, runId: ctx.runId, attempt: ctx.attempt, from: ctx.dataInterval.start };
  });
});

const flaky = workflow('flaky', {}, (w) => {
  w.task('third', { retries: 5, retryDelay: 0 }, async (ctx) => {
    if (ctx.attempt < 3) throw new Error('not yet', { cause: new Error('the cause') });
    return ctx.attempt;
  });
});

const hopeless = workflow('hopeless', {}, (w) => {
  w.task('once', { retries: 5, retryDelay: 0 }, async () => {
    count('hopeless');
    throw new NoRetryError('wrong for ever');
  });
});

const slow = workflow('slow', {}, (w) => {
  w.task('wait', { timeout: '100ms' }, async (ctx) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
    aborted.push(ctx.signal.reason);
    ctx.signal.throwIfAborted();
  });
});

const deaf = workflow('deaf', {}, (w) => {
  w.task('wait', { timeout: '50ms' }, () => new Promise(() => undefined));
});

const long = workflow('long', {}, (w) => {
  w.task('wait', {}, async (ctx) => {
    count('long');
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
    ctx.signal.throwIfAborted();
  });
});

const odd = workflow(
  'odd',
  { parameters: { type: 'object', properties: { what: { type: 'string' } }, required: ['what'] } },
  (w) => {
    w.task('give', { retries: 3 }, async (ctx): Promise<unknown> => {
      const circle: { self?: unknown } = {};
      circle.self = circle;
      return {
        bigint: { n: 1n },
        circle,
        map: new Map(),
        nan: Number.NaN,
        large: 'ä'.repeat(600_000),
        fine: 'x'.repeat(1_000_000),
        nothing: undefined,
      }[ctx.parameters.what];
    });
  },
);

const once = workflow(
  'once',
  { parameters: z.object({ day: z.string(), fail: z.coerce.boolean().default(false) }) },
  (w) => {
    w.task('charge', {}, (ctx) =>
      ctx.once(`charge/${ctx.parameters.day}`, async (key) => {
        const nth = count(key);
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (ctx.parameters.fail) throw new Error('declined');
        return { key, nth };
      }),
    );
  },
);

let agents: AgentStand;

beforeAll(async () => {
  agents = await startAgentStand();
  await agents.start([orders, flaky, hopeless, slow, deaf, long, odd, once]);
});

afterAll(() => agents[Symbol.asyncDispose]());

describe('a task', () => {
  it('gets the results of those before it, and its own is recorded', async () => {
    const run = await agents.run('orders');
    expect(run.state).toBe('succeeded');
    expect(await agents.results(run.id)).toEqual({
      extract: { rows: 10 },
      same: { rows: 10 },
      load: { rows: 20, runId: run.id, attempt: 1, from: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
  });

  it('logs lines that carry its run, whatever the attributes are', async () => {
    const run = await agents.run('orders');
    const line = await waitFor(() => agents.lines.find(({ runId }) => runId === run.id));
    expect(line).toMatchObject({
      ...{ taskKey: 'load', attempt: 1, level: 'info', message: 'loading' },
      attributes: { rows: 10, error: { name: 'Error', message: 'shown' }, huge: '10' },
    });
  });

  it('is tried again until it succeeds, as often as its retries say', async () => {
    const run = await agents.run('flaky');
    expect(run.state).toBe('succeeded');
    expect(await agents.results(run.id)).toEqual({ third: 3 });
  });

  it('is not tried again after a NoRetryError', async () => {
    const run = await agents.run('hopeless');
    expect(run).toMatchObject({
      state: 'failed',
      error: { message: expect.stringMatching(/wrong for ever/) },
    });
    expect(calls['hopeless']).toBe(1);
  });

  it('is aborted when its time is over, and has failed by that', async () => {
    const run = await agents.run('slow');
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task).toMatchObject({
      state: 'failed',
      error: { name: 'TimeLimitError', message: 'it took longer than 100 ms' },
    });
    expect(aborted).toEqual([expect.objectContaining({ name: 'TimeLimitError' })]);
  });

  it('that does not listen is given up a second after its time', async () => {
    const run = await agents.run('deaf');
    expect(run.state).toBe('failed');
  });

  it('is aborted when its run is cancelled, and says so', async () => {
    const { orchestrator } = agents.stand;
    const id = await trigger(orchestrator, 'long');
    await waitFor(() => calls['long'] === 1, { what: 'the task to run' });
    await orchestrator.runs.cancel(id, 'no more need', { name: 'token:test' });
    expect((await agents.ended(id)).state).toBe('cancelled');
    const [task] = await orchestrator.runs.tasks(id);
    expect(task?.state).toBe('cancelled');
  });

  it.each([
    ['bigint', /a result must be JSON, and result.n is a BigInt \(give a number or a text\)/],
    ['circle', /a result must be JSON: .*circular/],
    ['map', /this one is a Map \(give Object.fromEntries/],
    ['nan', /this one is NaN/],
  ])('with a result that cannot be recorded (%s) fails at once and says why', async (what, why) => {
    const run = await agents.run('odd', { what });
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task).toMatchObject({ state: 'failed', attempt: 1, error: { name: 'ResultError' } });
    expect(task?.error?.message).toMatch(why);
  });

  it.each(['fine', 'large', 'nothing'])('may give much or nothing (%s)', async (what) => {
    expect((await agents.run('odd', { what })).state).toBe('succeeded');
  });
});

describe('ctx.once', () => {
  it('does the work once for all runs under a key, also at the same time', async () => {
    const runs = await Promise.all([1, 2, 3].map(() => agents.run('once', { day: 'mon' })));
    const results = await Promise.all(runs.map(({ id }) => agents.results(id)));
    expect(results).toEqual(results.map(() => ({ charge: { key: 'charge/mon', nth: 1 } })));
  });

  it('lets another do the work after it failed', async () => {
    expect((await agents.run('once', { day: 'tue', fail: true })).state).toBe('failed');
    const run = await agents.run('once', { day: 'tue' });
    expect(await agents.results(run.id)).toEqual({ charge: { key: 'charge/tue', nth: 2 } });
  });
});

describe('an agent', () => {
  it('is not given a workflow that it has no code for; its tasks wait, and say for what', async () => {
    const other = await agents.start([workflow('other', {}, (w) => w.task('t', {}, () => 1))], {
      queues: ['elsewhere'],
    });
    await other.stop();
    const { orchestrator } = agents.stand;
    const runId = await trigger(orchestrator, 'other');
    const waited = await waitFor(
      async () => (await orchestrator.runs.tasks(runId)).find(({ waitsFor }) => waitsFor)?.waitsFor,
    );
    expect(waited).toMatchObject({
      ...{ reason: 'no-definition', name: 'other' },
      message:
        'no agent of the queue default defines other: start one with its file, or cancel the run',
    });
  });
});
