/** Which runs a selection of partitions leads to, above and below. */
import { describe, expect, it } from 'vitest';
import type { PartitionMapping, PartitionsDefinition } from '../../../../domain/partition.ts';
import {
  type Directions,
  expandKeys,
  type Planning,
  planRuns,
} from '../../../../orchestrator/assets/partitions/plan.ts';

const time = (every: 'day' | 'month'): PartitionsDefinition => ({
  ...{ kind: 'time', every, cron: null, timezone: 'UTC', start: '2026-01-01', end: null },
});
const DAY = time('day');
const MONTH = time('month');
const now = Date.UTC(2026, 3, 1);

type Edge = readonly [upstream: string, downstream: string, mapping?: PartitionMapping];

function planning(
  definitions: Readonly<Record<string, PartitionsDefinition | null>>,
  edges: readonly Edge[],
  ranges: readonly string[] = [],
): Planning {
  return {
    assets: Object.keys(definitions),
    definitions: new Map(Object.entries(definitions)),
    edges: edges.map(([upstream, downstream, mapping = null]) => ({
      upstream,
      downstream,
      mapping,
    })),
    moment: { now, dynamic: new Map() },
    handlesRange: (asset) => ranges.includes(asset),
  };
}

function plan(
  of: Planning,
  root: string,
  keys: readonly string[],
  directions: Partial<Directions>,
) {
  const both = { downstream: false, upstream: false, ...directions };
  const wanted = expandKeys(root, keys, both, of, 10_000);
  if (wanted === null) throw new Error('too many');
  return planRuns(wanted, of, false);
}

const days = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `2026-01-${String(from + at).padStart(2, '0')}`);

describe('runs of partitions with what lies around them', () => {
  it('make what depends on one partition alone together, side by side with others', () => {
    const of = planning({ a: DAY, b: DAY, c: DAY }, [
      ['a', 'b'],
      ['b', 'c'],
    ]);
    const runs = plan(of, 'a', days(1, 3), { downstream: true });
    expect(runs.map(({ assets, partitions, after }) => [assets, partitions['c'], after])).toEqual(
      days(1, 3).map((day) => [['a', 'b', 'c'], [day], []]),
    );
  });

  it('make a month once, after all of its days', () => {
    const of = planning({ a: DAY, m: MONTH, total: null }, [
      ['a', 'm'],
      ['m', 'total'],
    ]);
    const runs = plan(of, 'a', days(1, 31), { downstream: true });
    expect(runs).toHaveLength(32);
    expect(runs.at(-1)).toEqual({
      ...{ assets: ['m', 'total'], partitions: { m: ['2026-01'] } },
      after: Array.from({ length: 31 }, (_, at) => at),
    });
  });

  it('make the days of several months first, where the months were asked for', () => {
    const of = planning({ a: DAY, m: MONTH }, [['a', 'm']]);
    const runs = plan(of, 'm', ['2026-01', '2026-02'], { upstream: true });
    const months = runs.filter(({ assets }) => assets.includes('m'));
    expect(runs).toHaveLength(31 + 28 + 2);
    expect(months.map(({ partitions, after }) => [partitions['m'], after.length])).toEqual([
      [['2026-01'], 31],
      [['2026-02'], 28],
    ]);
  });

  it('make each partition once where windows overlap', () => {
    const window: PartitionMapping = { kind: 'time', startOffset: -2, endOffset: 0 };
    const of = planning({ a: DAY, b: DAY }, [['a', 'b', window]]);
    const runs = plan(of, 'b', days(5, 8), { upstream: true });
    const made = runs.flatMap(({ partitions }) => partitions['a'] ?? []);
    expect(made.sort()).toEqual(days(3, 8));
    const of8 = runs.find(({ partitions }) => partitions['b']?.includes('2026-01-08'));
    expect(of8?.after.map((at) => runs[at]?.partitions['a']?.[0])).toEqual(days(6, 8));
  });

  it('let code that handles a range make all of it in one run', () => {
    const of = planning({ a: DAY, m: MONTH }, [['a', 'm']], ['a']);
    const runs = plan(of, 'm', ['2026-01'], { upstream: true });
    expect(runs).toMatchObject([{ assets: ['a', 'm'], after: [] }]);
    expect(runs[0]?.partitions['a']).toHaveLength(31);
  });

  it('make what goes on from its own partition before in one run, in order', () => {
    const before: PartitionMapping = { kind: 'time', startOffset: -1, endOffset: -1 };
    const of = planning({ a: DAY, b: DAY }, [
      ['a', 'a', before],
      ['a', 'b'],
    ]);
    const [run, ...more] = plan(of, 'a', days(1, 3), { upstream: true });
    expect(more).toEqual([]);
    expect(run?.partitions['a']).toEqual(days(1, 3));
  });

  it('come to an end where there would be too many', () => {
    const of = planning({ a: DAY, b: DAY }, [
      ['a', 'b', { kind: 'time', startOffset: -60, endOffset: 0 }],
    ]);
    const directions = { downstream: true, upstream: false };
    expect(expandKeys('a', days(1, 31), directions, of, 50)).toBeNull();
  });
});
