/** What is given back while it waits: its timeout goes on, and the end of a run that it waits for wakes it. */
import { randomUUID } from 'node:crypto';
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

let release: (how: 'well' | 'badly') => void = () => undefined;
let held: Promise<'well' | 'badly'> = Promise.resolve('well');
const done = new Map<string, number>();
const did = (what: string) => {
  const times = (done.get(what) ?? 0) + 1;
  done.set(what, times);
  return times;
};

const child = flow('child', {}, async () => {
  did('child');
  if ((await held) === 'badly') throw new Error('the child failed');
  return { rows: 7 };
});
const parent = flow('parent', {}, async (ctx) => {
  await ctx.step('before', () => did('before'));
  const { rows } = await ctx.subflow<{ rows: number }>(child);
  return rows * 2;
});
const forgiving = flow('forgiving', {}, async (ctx) => {
  const both = await Promise.allSettled([
    ctx.subflow(child),
    ctx.subflow('child', {}, { key: 'b' }),
  ]);
  return both.map(({ status }) => status);
});
const graph = workflow('graph', {}, (w) => {
  const load = w.subflow('load', { workflow: child, timeout: '20s' });
  w.task('after', { after: [load] }, async (ctx) => ctx.result(load));
});
const patient = flow('patient', { timeout: '20s' }, async (ctx) => {
  await ctx.waitForEvent('go');
  return 'went';
});
const short = flow('short', { timeout: '1s' }, async (ctx) => {
  await ctx.step('before', () => did('before'));
  await ctx.waitForEvent('never');
});
const unserved = workflow('unserved', { queue: 'nobody' }, (w) => void w.task('only', {}, () => 1));
const all = [child, parent, forgiving, graph, patient, short, unserved];

let agents: AgentStand;
beforeEach(async () => {
  done.clear();
  held = new Promise((resolve) => {
    release = resolve;
  });
  agents = await startAgentStand({ leaseMs: 2_000 });
});
afterEach(async () => {
  release('well');
  await agents[Symbol.asyncDispose]();
});

const start = (name: string): Promise<RunningAgent> =>
  agents.start(all, {
    name,
    transport: {
      ...inProcessTransport(agents.stand.orchestrator.agents),
      suspendAfterMs: SUSPEND_AFTER_MS,
    },
  });

const tasksOf = (runId: string) => agents.stand.orchestrator.runs.tasks(runId);

function suspended(runId: string, key = 'flow') {
  return waitFor(
    async () => (await tasksOf(runId)).find((task) => task.key === key)?.state === 'waiting',
    { what: `the suspension of ${key}`, timeoutMs: 15_000 },
  );
}

/** @param wakes whether background steps look, beside what is heard of ends of runs */
async function endOf(runId: string, wakes = true) {
  return waitFor(
    async () => {
      if (wakes) await agents.stand.reconcile('suspended-flows');
      const found = await agents.stand.orchestrator.runs.get(runId);
      return found.finishedAt === null ? undefined : found;
    },
    { what: 'the end of the run', timeoutMs: 15_000 },
  );
}

describe('a flow that waits long for a subflow', () => {
  it('holds no agent meanwhile, and goes on by what it hears when the run has ended', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'parent');
    await suspended(id);
    const [flowTask] = await tasksOf(id);
    expect(flowTask?.agent).toBeNull();
    release('well');
    expect(await endOf(id, false)).toMatchObject({ state: 'succeeded' });
    expect((await agents.results(id))['flow']).toBe(14);
    expect(Object.fromEntries(done)).toEqual({ child: 1, before: 1 });
    expect(await agents.stand.sql('SELECT FROM signalbox.subflow_wait')).toHaveLength(0);
  });

  it('is woken by a background step where nobody heard of the end, also of a child that was gone', async () => {
    const first = await start('one');
    const id = await trigger(agents.stand.orchestrator, 'parent');
    await suspended(id);
    await first.stop();
    const childId = (
      await agents.stand.sql<{ child_run_id: string }>(
        'SELECT child_run_id FROM signalbox.subflow_wait',
      )
    )[0]?.child_run_id;
    // As if another server had recorded the end, and died before it told.
    await agents.stand.sql(
      `UPDATE signalbox.run SET state = 'succeeded', finished_at = now(), result = '{"rows":1}' WHERE id = $1`,
      [childId],
    );
    await agents.stand.sql('DELETE FROM signalbox.run_live WHERE run_id = $1', [childId]);
    await agents.stand.sql('DELETE FROM signalbox.task_live WHERE run_id = $1', [childId]);
    await agents.stand.reconcile('subflow-waits');
    await start('two');
    expect(await endOf(id)).toMatchObject({ state: 'succeeded' });
    expect((await agents.results(id))['flow']).toBe(2);
  });

  it('is woken where another server tells of so many runs that it names none', async () => {
    const { sql, another, orchestrator } = agents.stand;
    await start('one');
    await suspended(await trigger(orchestrator, 'parent'));
    // Of a run that is gone: whoever looks at it finds nothing to wait for.
    const child = [randomUUID()];
    await sql('INSERT INTO signalbox.subflow_wait VALUES (gen_random_uuid(), 0, $1)', child);
    const many = Array.from({ length: 150 }, () => ({}));
    await (await another()).runs.triggerBatch('unserved', many, ACTOR);
    const left = 'SELECT FROM signalbox.subflow_wait WHERE child_run_id = $1';
    await waitFor(async () => (await sql(left, child)).length === 0, {
      what: 'the look at all that wait',
      timeoutMs: 10_000,
    });
  });

  it('is told of a failure as ever, and of each of several children', async () => {
    await start('one');
    const [one, two] = [
      await trigger(agents.stand.orchestrator, 'parent'),
      await trigger(agents.stand.orchestrator, 'forgiving'),
    ];
    await suspended(one);
    await suspended(two);
    release('badly');
    expect((await endOf(one)).error?.message).toContain('the child failed');
    expect(await endOf(two)).toMatchObject({ state: 'succeeded' });
    expect((await agents.results(two))['flow']).toEqual(['rejected', 'rejected']);
  });

  it('is cancelled while it waits, with the run that it waits for', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'parent');
    await suspended(id);
    await agents.stand.orchestrator.runControl.cancel(id, { reason: 'enough' }, ACTOR);
    release('well');
    expect(await endOf(id)).toMatchObject({ state: 'cancelled' });
    await waitFor(async () => {
      await agents.stand.reconcile('subflow-waits');
      return (await agents.stand.sql('SELECT FROM signalbox.subflow_wait')).length === 0;
    });
  });
});

describe('a task that is the run of another workflow', () => {
  it('holds no agent while that takes long, and gives its result to what comes after', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'graph');
    await suspended(id, 'load');
    release('well');
    expect(await endOf(id, false)).toMatchObject({ state: 'succeeded' });
    expect((await agents.results(id))['after']).toEqual({ rows: 7 });
    expect(done.get('child')).toBe(1);
  });
});

describe('a flow with a timeout', () => {
  it('is given back while it waits, and goes on in time', async () => {
    await start('one');
    const id = await trigger(agents.stand.orchestrator, 'patient');
    await suspended(id);
    expect((await tasksOf(id)).map(({ key }) => key)).toEqual(['flow']);
    await agents.stand.orchestrator.signals.send(id, { name: 'go' }, ACTOR);
    expect(await endOf(id)).toMatchObject({ state: 'succeeded' });
  });

  it('that is given back is over when it would have been, whichever agent goes on with it', async () => {
    const first = await start('one');
    const startedAt = Date.now();
    const id = await trigger(agents.stand.orchestrator, 'short');
    await suspended(id);
    await first.stop();
    await start('two');
    const run = await endOf(id);
    expect(run).toMatchObject({ state: 'failed', error: { name: 'TimeLimitError' } });
    expect(run.error?.message).toContain('longer than 1000 ms');
    expect(Date.parse(run.finishedAt ?? '') - startedAt).toBeGreaterThanOrEqual(1_000);
    expect(done.get('before')).toBe(1);
  });
});
