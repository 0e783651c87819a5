/** Which of two ways claims read past tasks of others; what each way costs is told by a clock of the test's own. */
import { describe, expect, it } from 'vitest';
import { DefinitionSet } from '../../../orchestrator/dispatch/definitions.ts';
import { pickFitting } from '../../../orchestrator/dispatch/pick-fitting.ts';
import { createRunInfos } from '../../../orchestrator/runs/run-info.ts';
import { createVersions } from '../../../orchestrator/runs/versions.ts';
import type { Tx } from '../../../orchestrator/store/connection.ts';

const QUEUES = ['default'];
type Way = 'inOrder' | 'byRuns';

/** Nothing is picked, so nothing is read. */
const tx: Tx = {
  query: () => Promise.reject(new Error('nothing is to be read')),
  rows: () => Promise.reject(new Error('nothing is to be read')),
  execute: () => Promise.reject(new Error('nothing is to be read')),
};

/** Claims that read past others; a cost of more than 30,000 ms is a statement that ran into its limit. */
function startClaims(costMs: Record<Way, number>) {
  let now = 1_000_000;
  const clock = { now: () => now };
  const definitions = new DefinitionSet('1', new Map([['mine', 'v1']]));
  definitions.memoryOf(QUEUES).filterUntil = Number.POSITIVE_INFINITY;
  const infos = createRunInfos(createVersions());
  const spentMs = { inOrder: 0, byRuns: 0 };
  const taken: Way[] = [];
  const claim = () =>
    pickFitting({ clock, infos }, tx, { definitions, queues: QUEUES }, async (filter) => {
      const way = filter?.byRuns ? 'byRuns' : 'inOrder';
      const ms = Math.min(30_000, costMs[way]);
      now += ms;
      spentMs[way] += ms;
      taken.push(way);
      if (costMs[way] > ms) throw new Error('canceling statement due to statement timeout');
      return [];
    });
  return { claim, costMs, spentMs, taken };
}

describe('claims past tasks of others', () => {
  it('read in order as long as that is quick, and never try the other way', async () => {
    const { claim, spentMs } = startClaims({ inOrder: 2, byRuns: 5_000 });
    for (let count = 0; count < 1_000; count += 1) await claim();
    expect(spentMs).toEqual({ inOrder: 2_000, byRuns: 0 });
  });

  it('read by the runs of their own workflows once reading in order takes long', async () => {
    const { claim, costMs, taken } = startClaims({ inOrder: 2, byRuns: 3 });
    await claim();
    costMs.inOrder = 4_000;
    for (let count = 0; count < 4; count += 1) await claim();
    expect(taken).toEqual(['inOrder', 'inOrder', 'byRuns', 'byRuns', 'byRuns']);
  });

  it('spend little on trying the dear way again, however dear it is', async () => {
    const { claim, costMs, spentMs, taken } = startClaims({ inOrder: 2_000, byRuns: 5 });
    for (let count = 0; count < 5_000; count += 1) await claim();
    // The first look, and at most a tenth of what the other way cost.
    expect(spentMs.inOrder).toBeLessThanOrEqual(2_000 + spentMs.byRuns / 10);
    // Where it has become the cheaper one, that is found.
    costMs.inOrder = 1;
    for (let count = 0; count < 5_000; count += 1) await claim();
    expect(taken.at(-1)).toBe('inOrder');
  });

  it('take the other way after a statement that ran into its time limit', async () => {
    const { claim, taken } = startClaims({ inOrder: 60_000, byRuns: 5 });
    await expect(claim()).rejects.toThrow(/statement timeout/);
    expect(await claim()).toEqual([]);
    expect(taken).toEqual(['inOrder', 'byRuns']);
  });
});
