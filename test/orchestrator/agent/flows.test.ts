import { type FlowContext, flow, NoRetryError, workflow } from 'signalbox';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import type { Transport } from '../../../orchestrator/agent/transport.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

/** How often each thing was done, over all attempts and agents. */
const done = new Map<string, number>();
const did = (what: string) => {
  const times = (done.get(what) ?? 0) + 1;
  done.set(what, times);
  return times;
};

let gate = Promise.withResolvers<void>();

const fanOut = flow(
  'fan-out',
  { parameters: { type: 'object', properties: { n: { type: 'integer', default: 5 } } } },
  async (ctx, { n }) => {
    const parts = await Promise.all(
      Array.from({ length: n }, (_, i) => ctx.step(`part-${i}`, async () => i * i)),
    );
    return parts.reduce((a, b) => a + b, 0);
  },
);

/** Takes a turn that depends on a failure, then waits at the gate, where an agent can be lost. */
const turning = flow('turning', {}, async (ctx) => {
  const first = await ctx.step('first', () => ({ times: did('first'), at: new Date(0) }));
  let turn = 'none';
  try {
    await ctx.step('fails', () => {
      did('fails');
      throw new RangeError('declined');
    });
  } catch (error) {
    turn = error instanceof Error ? `${error.name}: ${error.message}` : 'odd';
  }
  await ctx.step('gate', async () => {
    did('gate');
    await gate.promise;
  });
  return { first, turn, last: await ctx.step('last', () => did('last')) };
});

const retried = flow('retried', { retries: 1, retryDelay: 0 }, async (ctx) => {
  await ctx.step('good', () => did('good'));
  return ctx.step('bad', () => {
    if (did('bad') === 1) throw new Error('the first time');
    return 'better';
  });
});

const stubborn = flow('stubborn', {}, async (ctx) => {
  const value = await ctx.step(
    'flaky',
    ({ attempt }) => {
      if (attempt < 3) throw new Error('again');
      return attempt;
    },
    { retries: 2, retryDelay: '5ms' },
  );
  const final = await ctx
    .step('final', () => Promise.reject(new NoRetryError(`tried ${did('final')}`)), { retries: 5 })
    .catch((error: Error) => error.message);
  const late = await ctx
    .step('late', () => new Promise(() => undefined), { timeout: '20ms' })
    .catch((error: Error) => error.name);
  return { value, final, late };
});

const keyed = flow('keyed', { retries: 3 }, async (ctx) => {
  did('keyed');
  for (const _ of [1, 2]) await ctx.step('same', () => 1);
});

const child = flow(
  'child',
  { parameters: { type: 'object', properties: { fail: { type: 'boolean', default: false } } } },
  async (_ctx, { fail }) => {
    if (fail && did('child fails') === 1) throw new Error('the child is ill');
    return { child: true };
  },
);
const chain = workflow('chain', {}, (w) => {
  const a = w.task('a', {}, () => 1);
  w.task('b', { after: [a] }, async (ctx) => (await ctx.result(a)) + 1);
});
const parent = flow('parent', { retries: 1, retryDelay: 0 }, async (ctx: FlowContext) => {
  const [one, two] = await Promise.all([ctx.subflow(child), ctx.subflow<number>('chain')]);
  const again = await ctx.subflow(child, { fail: true }, { key: 'again' });
  return { one, two, again };
});

const waiting = flow('waiting', {}, async (ctx) => {
  await ctx.sleep('nap', '30ms');
  const came = await ctx.waitUntil('comes', () => did('looked') >= 3, { every: '5ms' });
  const never = await ctx.waitUntil('never', () => false, { every: '5ms', timeout: '30ms' });
  return { came, never };
});

const all = [fanOut, turning, retried, stubborn, keyed, child, chain, parent, waiting];
let agents: AgentStand;

beforeAll(async () => {
  agents = await startAgentStand({ leaseMs: 600 });
});

beforeEach(() => {
  done.clear();
  gate = Promise.withResolvers<void>();
});

afterAll(() => agents[Symbol.asyncDispose]());

async function resultOf(name: string, parameters: Record<string, unknown> = {}) {
  const run = await agents.run(name, parameters);
  const results = await agents.results(run.id);
  return { run, result: results['flow'], results };
}

/** A transport whose line can be cut for good: what is sent gets nowhere. */
function cuttable(inner: Transport): { transport: Transport; cut(): void } {
  let open = true;
  const never = new Promise<never>(() => undefined);
  const transport = new Proxy(inner, {
    get(target, name: keyof Transport) {
      return name === 'close' || open ? target[name] : () => never;
    },
  });
  return {
    transport,
    cut() {
      open = false;
    },
  };
}

describe('a flow', () => {
  it('runs the same code whatever agent runs it, and goes on after a crash where it was', async () => {
    const line = cuttable(inProcessTransport(agents.stand.orchestrator.agents));
    await agents.start(all, { name: 'lost', transport: line.transport });
    const id = await trigger(agents.stand.orchestrator, 'turning');
    await waitFor(() => done.get('gate') === 1, { what: 'the gate' });
    line.cut();
    await agents.start(all, { name: 'other' });
    await waitFor(
      async () => {
        await agents.stand.reconcile('lease-reaper');
        return done.get('gate') === 2;
      },
      { what: 'the other agent to stand at the gate' },
    );
    gate.resolve();
    expect((await agents.ended(id)).state).toBe('succeeded');
    const results = await agents.results(id);
    expect(results['flow']).toEqual({
      first: { times: 1, at: '1970-01-01T00:00:00.000Z' },
      turn: 'RangeError: declined',
      last: expect.any(Number),
    });
    expect(Object.fromEntries(done)).toMatchObject({ first: 1, fails: 1, gate: 2 });
  });

  it('adds up what its parallel steps gave', async () => {
    expect((await resultOf('fan-out', { n: 200 })).result).toBe(2_646_700);
    expect((await resultOf('fan-out')).result).toBe(30);
  });

  it('that is tried again runs what failed, and not what succeeded', async () => {
    const { run, result } = await resultOf('retried');
    expect([run.state, result]).toEqual(['succeeded', 'better']);
    expect(Object.fromEntries(done)).toEqual({ good: 1, bad: 2 });
  });

  it('tries a step as its options say', async () => {
    expect((await resultOf('stubborn')).result).toEqual({
      value: 3,
      final: 'tried 1',
      late: 'TimeLimitError',
    });
  });

  it('fails for good where a step key is used twice, and says how to mend it', async () => {
    const run = await agents.run('keyed');
    expect(run.error?.message).toMatch(/step key "same" is used twice.*put the index of the loop/);
    expect(done.get('keyed')).toBe(1);
  });

  it('gets the results of subflows, and runs one that failed anew when it is tried again', async () => {
    const { run, result } = await resultOf('parent');
    expect(run.state).toBe('succeeded');
    expect(result).toEqual({ one: { child: true }, two: 2, again: { child: true } });
    expect(done.get('child fails')).toBe(2);
  });

  it('sleeps, and waits for conditions within a time', async () => {
    expect((await resultOf('waiting')).result).toEqual({ came: true, never: false });
    expect(done.get('looked')).toBe(3);
  });

  it('that waits for subflows leaves its slot to them', async () => {
    const single = await agents.start(
      [parent, child, chain].map((one) => ({
        ...one,
        described: { ...one.described, queue: 'single' },
      })),
      { concurrency: 1, queues: ['single'], name: 'single' },
    );
    const { run } = await resultOf('parent');
    expect(run.state).toBe('succeeded');
    await single.stop();
  });
});
