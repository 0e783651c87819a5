import { flow, workflow } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import type { RunningAgent } from '../../../orchestrator/agent/start.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { trigger } from '../dispatch/stand.ts';

const ACTOR = { name: 'token:jane' };
/** Instead of a minute. */
const SUSPEND_AFTER_MS = 80;

/** How often each thing was done, over all attempts and agents. */
const done = new Map<string, number>();
const did = (what: string) => {
  const times = (done.get(what) ?? 0) + 1;
  done.set(what, times);
  return times;
};

const paid = flow('paid', { parameters: { type: 'object' } }, async (ctx, parameters) => {
  const { order, timeout } = parameters as { order: string; timeout?: string };
  await ctx.step('before', () => did('before'));
  const event = await ctx.waitForEvent<{ amount: number }>('payment', {
    name: 'order-paid',
    correlation: order,
    ...(timeout === undefined ? {} : { timeout }),
  });
  return event === null ? 'never paid' : event.amount;
});

const approval = flow('approval', {}, async (ctx) => {
  let tidied = false;
  try {
    const answer = await ctx.waitForInput<{ approved: boolean }>('go', {
      message: 'Delete 12 tables?',
      schema: {
        type: 'object',
        required: ['approved'],
        properties: { approved: { type: 'boolean' }, comment: { type: 'string' } },
      },
    });
    return { answer, tidied };
  } finally {
    tidied = true;
    did('finally');
  }
});

const sleeper = flow('sleeper', {}, async (ctx) => {
  await ctx.step('before', () => did('before'));
  const [, looked] = await Promise.all([
    ctx.sleep('night', '400ms'),
    ctx.waitUntil('light', () => did('look') >= 2, { every: '300ms' }),
  ]);
  return looked;
});

const busy = flow('busy', {}, async (ctx) => {
  const [, worked] = await Promise.all([
    ctx.sleep('long', '500ms'),
    ctx.step('work', async () => {
      did('work');
      await new Promise((resolve) => setTimeout(resolve, 350));
      return 'worked';
    }),
  ]);
  return worked;
});

const sends = workflow('sends', {}, (w) => {
  w.task('send', { retries: 1, retryDelay: 0 }, async (ctx) => {
    await ctx.emit('order-paid', { amount: 7 }, { correlation: 'seven' });
    if (ctx.attempt === 1) throw new Error('the first time');
  });
});

const all = [paid, approval, sleeper, busy, sends];
let agents: AgentStand;

beforeEach(async () => {
  done.clear();
  agents = await startAgentStand({ leaseMs: 1_000 });
});

afterEach(() => agents[Symbol.asyncDispose]());

function start(name: string): Promise<RunningAgent> {
  const transport = inProcessTransport(agents.stand.orchestrator.agents);
  return agents.start(all, { name, transport: { ...transport, suspendAfterMs: SUSPEND_AFTER_MS } });
}

const signals = () => agents.stand.orchestrator.signals;

async function flowState(runId: string): Promise<string | undefined> {
  const tasks = await agents.stand.orchestrator.runs.tasks(runId);
  return tasks.find(({ key }) => key === 'flow')?.state;
}

function suspended(runId: string) {
  return waitFor(async () => (await flowState(runId)) === 'waiting', { what: 'the suspension' });
}

async function endOf(runId: string) {
  const run = await waitFor(
    async () => {
      await agents.stand.reconcile('suspended-flows');
      const found = await agents.stand.orchestrator.runs.get(runId);
      return found.finishedAt !== null && found;
    },
    { what: 'the end of the run' },
  );
  expect(run.error).toBeNull();
  return { state: run.state, result: (await agents.results(runId))['flow'] };
}

describe('a flow that waits for an event', () => {
  it('goes on with the body of the event that is sent with its correlation, and with no other', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'paid', { parameters: { order: 'a' } });
    await waitFor(() => done.get('before') === 1);
    const other = { name: 'order-paid', correlation: 'b', body: { amount: 1 } };
    expect((await signals().send(null, other, ACTOR)).woke).toEqual([]);
    const own = { name: 'order-paid', correlation: 'a', body: { amount: 2 }, idempotencyKey: 'k' };
    await signals().send(null, own, ACTOR);
    expect((await signals().send(null, own, ACTOR)).created).toBe(false);
    expect(await endOf(id)).toEqual({ state: 'succeeded', result: 2 });
  });

  it('is given an event that was sent before it began to wait', async () => {
    const event = { name: 'order-paid', correlation: 'early', body: { amount: 3 } };
    await signals().send(null, event, ACTOR);
    await start('one');
    const ids = await Promise.all(
      [1, 2].map(() =>
        trigger(agents.stand.orchestrator, 'paid', { parameters: { order: 'early' } }),
      ),
    );
    for (const id of ids) expect(await endOf(id)).toMatchObject({ result: 3 });
  });

  it('gets null when its time is over, and what is sent later is too late', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'paid', {
      parameters: { order: 'c', timeout: '200ms' },
    });
    expect(await endOf(id)).toEqual({ state: 'succeeded', result: 'never paid' });
    const event = { name: 'order-paid', correlation: 'c', body: { amount: 1 } };
    expect((await signals().send(null, event, ACTOR)).woke).toEqual([]);
    await expect(signals().send(id, { name: 'order-paid' }, ACTOR)).rejects.toThrow(
      /not under way/,
    );
  });

  it('holds no agent meanwhile: it goes on with another one, and repeats no step', async () => {
    const first = await start('first');
    const id = await trigger(agents.stand.orchestrator, 'paid', { parameters: { order: 'd' } });
    await suspended(id);
    expect(first.running()).toBe(0);
    expect(
      await agents.stand.sql('SELECT 1 FROM signalbox.task_live WHERE token IS NOT NULL'),
    ).toEqual([]);
    await first.stop();
    const { woke } = await signals().send(id, { name: 'order-paid', body: { amount: 4 } }, ACTOR);
    expect(woke).toEqual([id]);
    await start('second');
    expect(await endOf(id)).toEqual({ state: 'succeeded', result: 4 });
    expect(done.get('before')).toBe(1);
    const [task] = await agents.stand.orchestrator.runs.tasks(id);
    expect(task).toMatchObject({ attempt: 1, agent: 'second' });
  });

  it('misses no event that is sent in the moment of its suspension', async () => {
    await start('one');
    const orders = Array.from({ length: 20 }, (_, index) => `race-${index}`);
    const ids = await Promise.all(
      orders.map((order) => trigger(agents.stand.orchestrator, 'paid', { parameters: { order } })),
    );
    await Promise.all(
      orders.map(async (correlation, index) => {
        await new Promise((resolve) => setTimeout(resolve, SUSPEND_AFTER_MS + index * 4));
        await signals().send(
          null,
          { name: 'order-paid', correlation, body: { amount: index } },
          ACTOR,
        );
      }),
    );
    const results = await Promise.all(ids.map(async (id) => (await endOf(id)).result));
    expect(results).toEqual(orders.map((_, index) => index));
  });

  it('is sent events by tasks, each once, also where the task is tried again', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'paid', { parameters: { order: 'seven' } });
    await agents.run('sends');
    expect(await endOf(id)).toMatchObject({ result: 7 });
    expect(await agents.stand.sql('SELECT 1 FROM signalbox.flow_event')).toHaveLength(1);
  });
});

describe('a flow that waits for a person', () => {
  it('asks, is answered by a value that matches its schema, and is told once', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'approval');
    await suspended(id);
    expect(done.get('finally')).toBeUndefined();
    const [asked] = await signals().inputs(id);
    expect(asked).toMatchObject({ key: 'go', state: 'waiting', message: 'Delete 12 tables?' });
    expect((await signals().openInputs({})).items).toEqual([asked]);
    await expect(signals().answer(id, 'go', { approved: 'yes' }, ACTOR)).rejects.toMatchObject({
      code: 'invalid-parameters',
      errors: [{ path: '/approved', message: 'must be boolean' }],
    });
    await expect(signals().answer(id, 'stop', {}, ACTOR)).rejects.toThrow(
      /asks for no input "stop"/,
    );
    const answered = await signals().answer(id, 'go', { approved: true }, ACTOR);
    expect(answered).toMatchObject({ state: 'answered', answeredBy: 'token:jane' });
    await expect(signals().answer(id, 'go', { approved: false }, ACTOR)).rejects.toThrow(
      /answered by token:jane/,
    );
    expect(await endOf(id)).toEqual({
      state: 'succeeded',
      result: { answer: { approved: true }, tidied: false },
    });
    expect(done.get('finally')).toBe(1);
    expect((await signals().openInputs({})).items).toEqual([]);
  });

  it('asks again where its run is run again from the beginning', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'approval');
    await waitFor(async () => (await signals().inputs(id)).length === 1);
    await signals().answer(id, 'go', { approved: true }, ACTOR);
    await endOf(id);
    await agents.stand.orchestrator.runControl.clear(id, { tasks: ['flow'] }, ACTOR);
    await waitFor(async () => (await signals().inputs(id))[0]?.state === 'waiting', {
      what: 'the question again',
    });
    await signals().answer(id, 'go', { approved: false }, ACTOR);
    expect((await endOf(id)).result).toMatchObject({ answer: { approved: false } });
  });

  it('that is paused meanwhile takes the answer, and goes on when it is resumed', async () => {
    await start('one');
    const { runControl } = agents.stand.orchestrator;
    const id = await trigger(agents.stand.orchestrator, 'approval');
    await suspended(id);
    await runControl.pause(id, {}, ACTOR);
    await signals().answer(id, 'go', { approved: true }, ACTOR);
    await agents.stand.reconcile('suspended-flows');
    const rows = await agents.stand.sql('SELECT state FROM signalbox.task_live');
    expect(rows).toEqual([{ state: 11 }]);
    await runControl.resume(id, {}, ACTOR);
    expect((await endOf(id)).state).toBe('succeeded');
  });

  it('is cancelled while it waits without an agent', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'approval');
    await suspended(id);
    const run = await agents.stand.orchestrator.runs.cancel(id, 'no need', ACTOR);
    expect(run.state).toBe('cancelled');
    await expect(signals().answer(id, 'go', { approved: true }, ACTOR)).rejects.toThrow(
      /has ended/,
    );
  });
});

describe('a flow that sleeps', () => {
  it('is given back while it sleeps, and looks again for its condition when it wakes', async () => {
    const agent = await start('one');
    const id = await trigger(agents.stand.orchestrator, 'sleeper');
    await suspended(id);
    expect(agent.running()).toBe(0);
    expect(await endOf(id)).toEqual({ state: 'succeeded', result: true });
    expect(done.get('before')).toBe(1);
    expect(done.get('look')).toBe(2);
  });

  it('stays while one of its steps works', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'busy');
    expect(await endOf(id)).toEqual({ state: 'succeeded', result: 'worked' });
    expect(done.get('work')).toBe(1);
  });
});
