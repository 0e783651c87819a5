/** What happens while a workflow is paused: what is kept for the end of the pause, and what is told of the rest. */
import { workflow as define, flow } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
const onExtract = [{ workflow: 'extract' }];
const extract = flow('extract', {}, () => 1);
const other = flow('other', {}, () => 1);
/** Tells when what happened before it was followed. */
const witness = flow('witness', { on: onExtract }, () => null);
const latest = flow('latest', { on: onExtract }, (ctx) => ctx.trigger);
const every = flow('every', { on: { any: onExtract, whilePaused: 'all' } }, () => null);
const none = flow('none', { on: { any: onExtract, whilePaused: 'skip' } }, () => null);
const joined = define(
  'joined',
  { on: { all: [{ workflow: 'extract' }, { workflow: 'other' }] } },
  (w) => void w.task('only', {}, () => 1),
);

let agents: AgentStand;
let orchestrator: Orchestrator;

beforeEach(async () => {
  agents = await startAgentStand({ leaseMs: 5_000 });
  orchestrator = agents.stand.orchestrator;
  await agents.start([extract, other, witness, latest, every, none, joined]);
});
afterEach(() => agents[Symbol.asyncDispose]());

const pause = (name: string, paused: boolean) =>
  orchestrator.workflows.setPaused(name, paused, ACTOR);
const runsOf = async (workflow: string) => (await orchestrator.runs.list({ workflow })).items;
const skippedOf = async (workflow: string) =>
  (await orchestrator.schedules.expectedRuns({ workflow, outcome: 'skipped' })).items;

/** Runs of `extract` that ended one after the other, and were followed. */
async function extracts(count: number): Promise<string[]> {
  const before = (await runsOf('witness')).length;
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) ids.push((await agents.run('extract')).id);
  await waitFor(
    async () => {
      await agents.stand.reconcile('run-triggers');
      return (await runsOf('witness')).length === before + count;
    },
    { what: 'what happened to be followed', timeoutMs: 15_000 },
  );
  return ids;
}

async function endedOf(workflow: string, count: number) {
  return waitFor(
    async () => {
      await agents.stand.reconcile('run-triggers');
      const runs = await runsOf(workflow);
      return runs.length === count && runs.every(({ finishedAt }) => finishedAt) && runs;
    },
    { what: `${count} runs of ${workflow}`, timeoutMs: 15_000 },
  );
}

describe('a workflow that is started by what happens, while it is paused', () => {
  it('keeps the newest for the end of the pause, and the ledger tells how many it skipped', async () => {
    await pause('latest', true);
    const [, , newest] = await extracts(3);
    expect(await runsOf('latest')).toEqual([]);
    expect(await skippedOf('latest')).toMatchObject([
      { outcome: 'skipped', reason: 'paused', events: 2, runId: null },
    ]);
    await pause('latest', false);
    const [run] = await endedOf('latest', 1);
    const { flow: told } = await agents.results(run?.id ?? '');
    expect(told).toMatchObject({ kind: 'on', causes: [{ runId: newest }] });
    await extracts(1);
    await endedOf('latest', 2);
  });

  it('has a run for each when it is to, and none when it skips them all', async () => {
    await pause('every', true);
    await pause('none', true);
    await extracts(3);
    expect(await runsOf('every')).toEqual([]);
    expect(await skippedOf('every')).toEqual([]);
    expect(await skippedOf('none')).toMatchObject([{ reason: 'paused', events: 3 }]);
    await pause('every', false);
    await pause('none', false);
    await endedOf('every', 3);
    await extracts(1);
    await endedOf('none', 1);
    await endedOf('every', 4);
  });

  it('counts what came true while it was paused where it waits for several things', async () => {
    await pause('joined', true);
    await extracts(1);
    await pause('joined', false);
    await agents.run('other');
    await endedOf('joined', 1);
  });

  it('starts what waited once, whichever servers look at the same time', async () => {
    await pause('latest', true);
    await extracts(1);
    const second = await agents.stand.another();
    await pause('latest', false);
    const steps = [orchestrator, second].flatMap(({ reconcilers }) =>
      reconcilers.filter(({ name }) => name === 'run-triggers'),
    );
    await Promise.all(steps.map((step) => step.run()));
    await endedOf('latest', 1);
  });
});
