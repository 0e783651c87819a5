import { asset, flow, workflow } from 'signalbox';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { httpTransport } from '../../../orchestrator/agent/http-transport.ts';
import { startAgent } from '../../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import { startTcpProxy } from '../../../server/drills/faults/proxy.ts';
import { freePort } from '../../support/free-port.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type HttpDoor, openHttpDoor, TOKEN } from './http-door.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const LEASE_MS = 1_500;
const ACTOR = { name: 'token:test' };
const started: string[] = [];
const reasons: unknown[] = [];
let gate = Promise.withResolvers<void>();

const chain = workflow('chain', {}, (w) => {
  let before = w.task('t0', {}, () => 0);
  for (let index = 1; index < 5; index++) {
    const upstream = before;
    before = w.task(
      `t${index}`,
      { after: [upstream] },
      async (ctx) => (await ctx.result(upstream)) + 1,
    );
  }
});
const gated = workflow('gated', {}, (w) => {
  w.task('wait', {}, async (ctx) => {
    started.push(ctx.runId);
    ctx.signal.addEventListener('abort', () => reasons.push(ctx.signal.reason));
    await gate.promise;
    return ctx.attempt;
  });
});
const child = flow('child', {}, () => 'child');
const everything = flow('everything', {}, async (ctx) => {
  ctx.log.info('a line');
  const step = await ctx.step('step', () => 1);
  const once = await ctx.once(`once/${ctx.runId}`, () => 2);
  const sub = await ctx.subflow(child);
  return { step, once, sub };
});
const stock = asset('shop/stock/of-today', {}, () => [1, 2, 3]);
const total = asset('shop/total', { dependsOn: { stock } }, (_ctx, { stock: rows }) => rows.length);

const all = [chain, gated, child, everything, stock, total];
let agents: AgentStand;
let door: HttpDoor;

beforeAll(async () => {
  agents = await startAgentStand({ leaseMs: LEASE_MS });
  door = await openHttpDoor(agents.stand.orchestrator.agents);
});

afterEach(() => {
  gate.resolve();
  gate = Promise.withResolvers<void>();
  door.fault = () => 'none';
  started.length = 0;
  reasons.length = 0;
});

afterAll(async () => {
  await agents[Symbol.asyncDispose]();
  await door.close();
});

const over = (url: string) => httpTransport({ url, token: TOKEN, answerLimitMs: 1_000 });

describe('an agent over HTTP', () => {
  it('does everything that tasks ask for', async () => {
    const agent = await agents.start(all, { transport: over(door.url) });
    const run = await agents.run('everything');
    expect((await agents.results(run.id))['flow']).toEqual({ step: 1, once: 2, sub: 'child' });
    expect(await agents.results((await agents.run('chain')).id)).toMatchObject({ t4: 4 });
    const { assets } = agents.stand.orchestrator;
    const made = await assets.materialize(['shop/stock/of-today', 'shop/total'], {}, ACTOR);
    await agents.ended(made.id);
    expect(await agents.results(made.id)).toMatchObject({ 'shop/total': 3 });
    await agent.stop();
  });

  it('sends results encoded once, a thousand completions in few calls', async () => {
    const many = workflow('many', {}, (w) => {
      for (let index = 0; index < 1_000; index++) w.task(`t${index}`, {}, () => ({ index }));
    });
    const agent = await agents.start([many], { transport: over(door.url), concurrency: 1_000 });
    const before = door.calls.length;
    const run = await agents.run('many');
    const calls = door.calls.slice(before).filter(({ path }) => path.endsWith('/complete'));
    expect(calls.length).toBeLessThanOrEqual(10);
    expect(await agents.results(run.id)).toMatchObject({ t0: { index: 0 }, t999: { index: 999 } });
    await agent.stop();
  });

  it('gives up where the token is refused, and says so', async () => {
    const transport = httpTransport({ url: door.url, token: 'wrong' });
    const told: string[] = [];
    const agent = startAgent({
      ...{ transport, name: 'x', queues: ['default'], concurrency: 1 },
      definitions: definitionsOf([child]),
      log: (message) => told.push(message),
    });
    await expect(agent.ended).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(told.join()).toMatch(/gives up: A valid token is needed/);
    await agent.stop();
  });

  it('waits for a server that is not there yet, and goes on after it was restarted', async () => {
    const port = await freePort();
    const transport = over(`http://127.0.0.1:${port}`);
    const starting = agents.start(all, { transport });
    await waitFor(() => agents.told.some((line) => /cannot reach the server/.test(line)));
    let own = await openHttpDoor(agents.stand.orchestrator.agents, port);
    const agent = await starting;
    const session = agent.sessionId();
    const id = await trigger(agents.stand.orchestrator, 'gated');
    await waitFor(() => started.length === 1);
    await own.close();
    gate.resolve();
    own = await openHttpDoor(agents.stand.orchestrator.agents, port);
    expect((await agents.ended(id)).state).toBe('succeeded');
    expect(agent.sessionId()).toBe(session);
    await agent.stop();
    await own.close();
  });

  it.each(['answer-lost', 503, 429] as const)(
    'sends again what was not answered (%s), without doing it twice',
    async (fault) => {
      const agent = await agents.start(all, { transport: over(door.url) });
      const left = new Map([
        ['complete', 2],
        ['steps', 2],
        ['once', 2],
        ['runs', 2],
      ]);
      door.fault = (call) => {
        const times = left.get(call) ?? 0;
        left.set(call, times - 1);
        return times > 0 ? fault : 'none';
      };
      const run = await agents.run('everything');
      expect((await agents.results(run.id))['flow']).toEqual({ step: 1, once: 2, sub: 'child' });
      await agent.stop();
    },
  );

  it('tells a failure where the server refuses a success', async () => {
    const agent = await agents.start(all, { transport: over(door.url) });
    let refusals = 0;
    door.fault = (call) => {
      if (call !== 'complete' || refusals > 0) return 'none';
      refusals += 1;
      return 422;
    };
    const run = await agents.run('chain');
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task).toMatchObject({
      key: 't0',
      state: 'failed',
      error: { name: 'CompletionRefused' },
    });
    await agent.stop();
  });

  it('gets again the work that a lost answer handed out', async () => {
    const agent = await agents.start(all, { transport: over(door.url) });
    let lost = false;
    door.fault = (call) => {
      if (call !== 'claim' || lost || started.length > 0) return 'none';
      return 'answer-lost';
    };
    const id = await trigger(agents.stand.orchestrator, 'gated');
    await waitFor(async () => (await agents.stand.orchestrator.runs.get(id)).state === 'running');
    lost = true;
    gate.resolve();
    expect((await agents.ended(id)).state).toBe('succeeded');
    await agent.stop();
  });
});

describe('an agent behind a line that is cut', () => {
  it('goes on, and after a short cut its completion counts', async () => {
    const line = await startTcpProxy(door.url);
    const agent = await agents.start(all, { transport: over(line.url) });
    const id = await trigger(agents.stand.orchestrator, 'gated');
    await waitFor(() => started.length === 1);
    line.set('cut');
    gate.resolve();
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 3));
    line.set('open');
    expect((await agents.ended(id)).state).toBe('succeeded');
    expect(reasons).toEqual([]);
    await agent.stop();
    await line.stop();
  });

  it('goes on until it hears that another has its task, is aborted then, and its result is dropped', async () => {
    const line = await startTcpProxy(door.url);
    const cutOff = await agents.start(all, { transport: over(line.url), name: 'cut-off' });
    const id = await trigger(agents.stand.orchestrator, 'gated');
    await waitFor(() => started.length === 1);
    const session = cutOff.sessionId();
    line.set('cut');
    const near = await agents.start(all, { transport: over(door.url), name: 'near' });
    await waitFor(
      async () => {
        await agents.stand.reconcile('lease-reaper');
        return started.length === 2;
      },
      { what: 'the near agent to get the task' },
    );
    expect(reasons).toEqual([]);
    expect(cutOff.running()).toBe(1);
    line.set('open');
    await waitFor(() => reasons.length === 1, { what: 'the abort' });
    expect(reasons).toEqual([expect.objectContaining({ kind: 'lost' })]);
    await waitFor(() => cutOff.sessionId() !== null && cutOff.sessionId() !== session);
    gate.resolve();
    expect((await agents.ended(id)).state).toBe('succeeded');
    expect(await agents.results(id)).toEqual({ wait: 2 });
    expect(agents.told.filter((text) => /is lost, 1 tasks are aborted/.test(text))).toHaveLength(1);
    await Promise.all([cutOff.stop(), near.stop()]);
    await line.stop();
  });
});

describe('an agent that stops', () => {
  it('takes no more work, lets what runs end, and is gone', async () => {
    const agent = await agents.start(all, { transport: over(door.url), drainMs: 5_000 });
    const id = await trigger(agents.stand.orchestrator, 'gated');
    await waitFor(() => started.length === 1);
    const stopping = agent.stop();
    const later = await trigger(agents.stand.orchestrator, 'chain');
    gate.resolve();
    await stopping;
    expect((await agents.stand.orchestrator.runs.get(id)).state).toBe('succeeded');
    // What its last claim was given in that very moment, and it does not want any more, is ready again.
    const { runs } = agents.stand.orchestrator;
    const first = await waitFor(async () => {
      const [task] = await runs.tasks(later);
      return task?.state === 'ready' && task;
    });
    expect(first.attempt).toBe(1);
    await agents.stand.orchestrator.runs.cancel(later, 'test', ACTOR);
  });

  it('aborts what does not end in time, and hands it back at once', async () => {
    const agent = await agents.start(all, { transport: over(door.url), drainMs: 50 });
    const id = await trigger(agents.stand.orchestrator, 'gated');
    await waitFor(() => started.length === 1);
    const near = await agents.start(all, { transport: over(door.url), name: 'near' });
    await agent.stop();
    expect(reasons).toEqual([expect.objectContaining({ kind: 'stopping' })]);
    await waitFor(() => started.length === 2, { what: 'the other agent to start it' });
    gate.resolve();
    expect((await agents.ended(id)).state).toBe('succeeded');
    await near.stop();
  });
});
