import { asset, workflow as define, flow } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };

const extract = flow('extract', {}, async (ctx) => {
  const { fail } = ctx.parameters as { fail?: boolean };
  if (fail && ctx.attempt === 1) throw new Error('the source is down');
  return { rows: 12 };
});
const other = define('other', {}, (w) => {
  w.task('a', {}, () => 1);
});
const report = flow('report', { on: [{ workflow: extract }] }, async (ctx) => {
  const result = await ctx.trigger?.result<{ rows: number }>('extract');
  return { trigger: ctx.trigger, result };
});
const alarm = flow(
  'alarm',
  { on: [{ workflow: 'extract', state: 'failed' }] },
  (ctx) => ctx.trigger,
);
const ledger = flow('ledger', { on: [{ workflow: 'extract', state: 'any' }] }, () => null);
const joined = flow(
  'joined',
  { on: { all: [{ workflow: extract }, { workflow: other }] } },
  (ctx) => (ctx.trigger?.kind === 'on' ? ctx.trigger.causes.length : 0),
);
const raw = asset('shop/orders', {}, () => [1, 2]);
const prices = asset('shop/prices', {}, () => [3]);
const refresh = flow('refresh', { on: [{ asset: raw }] }, (ctx) => ctx.trigger);
const both = flow('both', { on: { all: [{ asset: raw }, { asset: prices }] } }, () => null);

const all = [extract, other, report, alarm, ledger, joined, raw, prices, refresh, both];
let agents: AgentStand;
let orchestrator: Orchestrator;

beforeEach(async () => {
  agents = await startAgentStand({ leaseMs: 2_000 });
  orchestrator = agents.stand.orchestrator;
  await agents.start(all);
});

afterEach(() => agents[Symbol.asyncDispose]());

const runsOf = async (workflow: string) => (await orchestrator.runs.list({ workflow })).items;

/** Follows until so many runs of the workflow have ended. */
function endedRuns(workflow: string, count: number) {
  return waitFor(
    async () => {
      await agents.stand.reconcile('run-triggers');
      const runs = await runsOf(workflow);
      return runs.filter(({ finishedAt }) => finishedAt !== null).length >= count && runs;
    },
    { what: `${count} runs of ${workflow}` },
  );
}

describe('a workflow that is started by the ends of other runs', () => {
  it('runs once for each run that succeeded, for its date, and is told which one and its result', async () => {
    const logicalDate = '2026-01-02T00:00:00.000Z';
    const { run } = await orchestrator.runs.trigger('extract', { logicalDate }, ACTOR);
    const [started] = await endedRuns('report', 1);
    expect(started).toMatchObject({ trigger: 'workflow', logicalDate, state: 'succeeded' });
    const results = await agents.results(started?.id ?? '');
    expect(results['flow']).toEqual({
      trigger: {
        kind: 'on',
        causes: [{ kind: 'run', runId: run.id, workflow: 'extract', state: 'succeeded' }],
        depth: 1,
      },
      result: { rows: 12 },
    });
    await endedRuns('ledger', 1);
    await agents.stand.reconcile('run-triggers');
    expect(await runsOf('report')).toHaveLength(1);
    expect(await runsOf('alarm')).toEqual([]);
  });

  it('runs for a failure, and for the success of the same run when it is retried', async () => {
    const failed = await agents.run('extract', { fail: true });
    expect(failed.state).toBe('failed');
    await endedRuns('alarm', 1);
    expect(await runsOf('report')).toEqual([]);
    await orchestrator.runs.retry(failed.id, ACTOR);
    await agents.ended(failed.id);
    await endedRuns('report', 1);
    expect(await runsOf('alarm')).toHaveLength(1);
    expect(await runsOf('ledger')).toHaveLength(1);
  });

  it('misses nothing and starts nothing twice while two servers follow at once', async () => {
    const second = await agents.stand.another();
    const steps = [orchestrator, second].flatMap(({ reconcilers }) =>
      reconcilers.filter(({ name }) => name === 'run-triggers'),
    );
    const requests = Array.from({ length: 60 }, (_, index) => ({ idempotencyKey: `k${index}` }));
    await orchestrator.runs.triggerBatch('extract', requests, ACTOR);
    await waitFor(
      async () => {
        await Promise.all([...steps, ...steps].map((step) => step.run()));
        return (await runsOf('report')).length >= 60;
      },
      { what: 'a run for each' },
    );
    await Promise.all(steps.map((step) => step.run()));
    expect(await runsOf('report')).toHaveLength(60);
    expect(await runsOf('ledger')).toHaveLength(60);
  });

  it('with all of several runs when each has ended since its last run', async () => {
    await agents.run('extract');
    await agents.run('extract');
    await endedRuns('report', 2);
    expect(await runsOf('joined')).toEqual([]);
    await agents.run('other');
    const [started] = await endedRuns('joined', 1);
    expect((await agents.results(started?.id ?? ''))['flow']).toBe(2);
    await agents.run('other');
    await agents.stand.reconcile('run-triggers');
    expect(await runsOf('joined')).toHaveLength(1);
  });

  it('is not started while it is paused, and once for the newest when that ends', async () => {
    await orchestrator.workflows.setPaused('report', true, ACTOR);
    await agents.run('extract');
    await endedRuns('ledger', 1);
    await orchestrator.workflows.setPaused('report', false, ACTOR);
    await agents.run('extract');
    await endedRuns('ledger', 2);
    await endedRuns('report', 2);
    expect(await runsOf('report')).toHaveLength(2);
  });

  it('is refused where workflows would start each other in a circle', async () => {
    const register = (name: string, upstream: string) =>
      orchestrator.workflows.register(
        [
          {
            ...flow(name, { on: [{ workflow: upstream }] }, () => null).described,
            file: `${name}.ts`,
          },
        ],
        [],
      );
    await register('ping', 'pong');
    await register('pong', 'ping');
    expect(await orchestrator.workflows.fileErrors()).toMatchObject([
      {
        file: 'pong.ts',
        message: 'pong: workflows start each other in a circle: pong → ping → pong',
      },
    ]);
    await expect(orchestrator.workflows.get('pong')).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('a workflow that is started by assets', () => {
  it('runs after each new version, and after all of several since its last run', async () => {
    const materialize = async (key: string) => {
      const run = await orchestrator.assets.materialize([key], {}, ACTOR);
      await agents.ended(run.id);
      return run.id;
    };
    const runId = await materialize('shop/orders');
    const [started] = await endedRuns('refresh', 1);
    expect(started?.trigger).toBe('asset');
    expect((await agents.results(started?.id ?? ''))['flow']).toMatchObject({
      kind: 'on',
      causes: [{ kind: 'asset', asset: 'shop/orders', runId, partition: null }],
    });
    expect(await runsOf('both')).toEqual([]);
    await materialize('shop/prices');
    await endedRuns('both', 1);
    await materialize('shop/prices');
    await agents.stand.reconcile('run-triggers');
    expect(await runsOf('both')).toHaveLength(1);
    expect(await runsOf('refresh')).toHaveLength(1);
  });
});

describe('the option on', () => {
  it('tells what is wrong with it', () => {
    const of = (on: unknown) => () => flow('f', { on } as object, () => null);
    expect(of([])).toThrow(/on: must be a list of 1 to 50 conditions/);
    expect(of([{ workflow: 'a', state: 'done' }])).toThrow(/"succeeded" or "failed" or "any"/);
    expect(of([{ file: 'a' }])).toThrow(/unknown option "file"/);
    expect(of({ some: [] })).toThrow(/\{ any: \[…\] \} or \{ all: \[…\] \}/);
  });
});
