/** Materializing many partitions with what lies above and below, with agents. */
import { asset, daily, monthly } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: AgentStand;
let failing: string | null = null;
const made: string[] = [];

const days = asset('around/days', { partitions: daily({ start: '2026-01-01' }) }, (ctx) => {
  if (ctx.partitionKey === failing) throw new Error('the source is down');
  made.push(ctx.partitionKey);
  return 1;
});
const months = asset(
  'around/months',
  { partitions: monthly({ start: '2026-01-01' }), dependsOn: { days } },
  (ctx, inputs) => {
    made.push(ctx.partitionKey);
    return Object.keys(inputs.days).length;
  },
);

beforeAll(async () => {
  stand = await startAgentStand();
  await stand.start([days, months]);
});
afterAll(() => stand[Symbol.asyncDispose]());

const assets = () => stand.stand.orchestrator.assets;

/** Waits for the ends of runs of which some wait for others. */
async function endAll(runs: readonly { readonly id: string }[]) {
  await waitFor(
    async () => {
      await stand.stand.reconcile('run-promoter');
      const all = await Promise.all(runs.map(({ id }) => stand.stand.orchestrator.runs.get(id)));
      return all.every(({ state }) => state === 'succeeded');
    },
    { what: 'the ends of all runs', timeoutMs: 12_000 },
  );
}

const request = { partitions: ['2026-02'], upstream: true };

describe('assets materialized with all that lies above them', () => {
  it('a dry run says what would be made, in which order and how many runs, and makes nothing', async () => {
    const plan = await assets().plan('around/months', request);
    expect(plan).toMatchObject({ runCount: 29, partitionCount: 29 });
    expect(plan.assets.map(({ key, count }) => [key, count])).toEqual([
      ['around/days', 28],
      ['around/months', 1],
    ]);
    expect(plan.runs.at(-1)?.after).toHaveLength(28);
    expect(await assets().partitionCounts('around/months')).toMatchObject({ fresh: 0 });
    expect((await stand.stand.orchestrator.runs.list({})).items).toEqual([]);
  });

  it('the month is made once, when its last day has succeeded, whichever failed before', async () => {
    failing = '2026-02-10';
    const { runs, runCount } = await assets().materializePartitions(
      'around/months',
      { ...request, idempotencyKey: 'once' },
      ACTOR,
    );
    expect(runCount).toBe(29);
    const broken = await waitFor(
      async () => {
        const all = await Promise.all(runs.map(({ id }) => stand.stand.orchestrator.runs.get(id)));
        const open = all.filter(({ state }) => state !== 'succeeded');
        return open.length === 2 && open.find(({ state }) => state === 'failed');
      },
      { what: 'all days but one', timeoutMs: 12_000 },
    );
    await stand.stand.reconcile('run-promoter');
    const held = await stand.stand.orchestrator.runs.get(runs.at(-1)?.id ?? '');
    expect(held).toMatchObject({ state: 'scheduled', waitsFor: { runId: broken.id } });
    expect(made).not.toContain('2026-02');
    const again = await assets().materializePartitions(
      'around/months',
      { ...request, idempotencyKey: 'once' },
      ACTOR,
    );
    expect(again.runs.map(({ id }) => id)).toEqual(runs.map(({ id }) => id));
    failing = null;
    await stand.stand.orchestrator.runControl.retry(broken.id, {}, ACTOR);
    await endAll(runs);
    expect(made.at(-1)).toBe('2026-02');
    expect(made.filter((key) => key === '2026-02')).toHaveLength(1);
    expect((await stand.results(held.id))['around/months']).toBe(28);
  });
});
