import { describe, expect, it } from 'vitest';
import { findGroup, type SeenRun } from '../../../incidents/detectors/duplicate-groups.ts';

const NOW = Date.UTC(2026, 2, 10);
const LIMITS = { windowMs: 600_000, openRunLimitMs: 600_000 };

/** Runs that succeeded one after the other, a minute apart, with the same parameters. */
function twiceOf(workflow: string, engine = 'signalbox'): readonly SeenRun[] {
  return [1, 2].map((number) => ({
    ...{ businessKey: 'key', runId: `run ${number}`, engine, workflow, state: 'succeeded' },
    ...{ createdAt: NOW + number * 60_000, lastAt: NOW + number * 60_000 + 1 },
    ...{ trigger: 'manual', deliberate: false, hasIdentity: true, logicalDate: null },
  }));
}

describe('runs that make several assets', () => {
  it.each(['assets', 'asset-partitions', '~pr-1~assets', '~pr-1~asset-partitions'])(
    'of the workflow %s may follow each other, in production and in branches',
    (workflow) => {
      expect(findGroup(twiceOf(workflow), LIMITS, NOW)).toBeNull();
    },
  );

  it('are no excuse for workflows of people, or of other engines', () => {
    for (const runs of [twiceOf('my-assets'), twiceOf('assets', 'airflow'), twiceOf('~pr-1~x')]) {
      expect(findGroup(runs, LIMITS, NOW)?.runs).toHaveLength(2);
    }
  });
});
