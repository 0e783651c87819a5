/** Which partitions are made from which, in both directions. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PartitionMapping, PartitionsDefinition } from '../../../../domain/partition.ts';
import {
  downstreamKeys,
  givesMany,
  type Sides,
  upstreamKeys,
} from '../../../../orchestrator/assets/partitions/mapping.ts';
import { partitionSet } from '../../../../orchestrator/assets/partitions/partition-set.ts';
import {
  byDimension,
  cronPartitions,
  daily,
  dynamicPartitions,
  hourly,
  lastPartition,
  monthly,
  multiPartitions,
  specificPartitions,
  staticMapping,
  staticPartitions,
  timeWindow,
  weekly,
} from '../../../../orchestrator/define/partitions.ts';

const moment = { now: Date.UTC(2024, 4, 1), dynamic: new Map([['shops', ['a', 'b', 'c']]]) };
const start = '2024-03-01';
const zone = { start, timezone: 'Europe/Berlin' };
const regions = staticPartitions(['eu', 'us']);

const above = (
  upstream: PartitionsDefinition | null,
  downstream: PartitionsDefinition | null,
  key: string | null,
  mapping: PartitionMapping | null = null,
) => upstreamKeys({ upstream, downstream, mapping }, key, moment);

describe('upstream partitions', () => {
  test('are those of the same key unless told', () => {
    expect(above(regions, regions, 'eu')).toEqual(['eu']);
    expect(above(daily({ start }), daily({ start }), '2024-04-02')).toEqual(['2024-04-02']);
    expect(above(null, daily({ start }), '2024-04-02')).toBeNull();
  });

  test('of a day are its hours: 23 and 25 of them where clocks change', () => {
    const hours = above(hourly(zone), daily(zone), '2024-03-31');
    expect(hours).toHaveLength(23);
    expect(hours?.[0]).toBe('2024-03-31T00:00+01:00');
    expect(hours?.at(-1)).toBe('2024-03-31T23:00+02:00');
    expect(above(hourly(zone), daily(zone), '2024-04-01')).toHaveLength(24);
  });

  test('of a month are its days, of a day its month', () => {
    expect(above(daily(zone), monthly(zone), '2024-04')).toHaveLength(30);
    expect(above(monthly(zone), daily(zone), '2024-04-30')).toEqual(['2024-04']);
  });

  test('move by an offset, and end where the upstream begins', () => {
    const days = daily({ start });
    expect(above(days, days, '2024-03-02', timeWindow({ offset: -1 }))).toEqual(['2024-03-01']);
    expect(above(days, days, '2024-03-01', timeWindow({ offset: -1 }))).toEqual([]);
    const week = timeWindow({ startOffset: -6, endOffset: 0 });
    expect(above(days, days, '2024-03-03', week)).toEqual([
      '2024-03-01',
      '2024-03-02',
      '2024-03-03',
    ]);
    expect(above(days, days, '2024-04-03', week)).toHaveLength(7);
  });

  test('are all of them, the newest, or those that are named', () => {
    const days = daily({ start });
    expect(above(days, null, null)).toHaveLength(61);
    expect(above(days, regions, 'eu', lastPartition())).toEqual(['2024-04-30']);
    expect(above(regions, days, '2024-04-01', specificPartitions(['us', 'gone']))).toEqual(['us']);
    expect(above(dynamicPartitions('shops'), null, null)).toEqual(['a', 'b', 'c']);
  });

  test('follow a table, and a dimension', () => {
    const countries = staticPartitions(['de', 'fr', 'ca']);
    const table = staticMapping({ de: 'eu', fr: 'eu', ca: 'us' });
    expect(above(countries, regions, 'eu', table)).toEqual(['de', 'fr']);
    const both = multiPartitions({ day: daily({ start }), region: regions });
    expect(above(both, daily({ start }), '2024-04-02')).toEqual(['2024-04-02|eu', '2024-04-02|us']);
    expect(above(both, regions, 'eu', byDimension('region'))).toHaveLength(61);
    expect(above(daily({ start }), both, '2024-04-02|eu')).toEqual(['2024-04-02']);
    expect(above(both, both, '2024-04-02|eu', timeWindow({ offset: -1 }))).toEqual([
      '2024-04-01|eu',
    ]);
  });
});

test('code gets an object by key where the declaration may give several, else the one value', () => {
  const days = daily({ start });
  const many = (
    upstream: PartitionsDefinition,
    downstream: PartitionsDefinition | null,
    mapping: PartitionMapping | null = null,
  ) => givesMany({ upstream, downstream, mapping });
  expect(many(days, days)).toBe(false);
  expect(many(days, days, timeWindow({ offset: -1 }))).toBe(false);
  expect(many(monthly({ start }), days)).toBe(false);
  expect(many(days, monthly({ start }))).toBe(true);
  expect(many(days, days, timeWindow({ startOffset: -6 }))).toBe(true);
  expect(many(days, null)).toBe(true);
  expect(many(days, null, lastPartition())).toBe(false);
  expect(many(monthly({ start }), weekly({ start }))).toBe(true);
});

const timed = fc.constantFrom<PartitionsDefinition>(
  hourly({ start: '2024-03-28', timezone: 'Europe/Berlin' }),
  daily(zone),
  daily({ start: '2024-03-10', timezone: 'America/New_York' }),
  weekly(zone),
  monthly(zone),
  cronPartitions('0 6 * * 1-5', zone),
);
const anyDefinition = fc.oneof(
  timed,
  fc.constantFrom<PartitionsDefinition>(
    regions,
    dynamicPartitions('shops'),
    multiPartitions({ day: daily(zone), region: regions }),
    multiPartitions({ region: regions, week: weekly(zone) }),
  ),
);
const window = fc
  .tuple(fc.integer({ min: -9, max: 3 }), fc.integer({ min: 0, max: 5 }))
  .map(([startOffset, span]) => timeWindow({ startOffset, endOffset: startOffset + span }));

describe('both directions agree', () => {
  const agree = (sides: Sides, pick: number) => {
    if (!sides.upstream || !sides.downstream) return;
    const up = partitionSet(sides.upstream, moment.now, moment.dynamic);
    const down = partitionSet(sides.downstream, moment.now, moment.dynamic);
    fc.pre(up.size > 0 && down.size > 0);
    const upKey = up.at(pick % up.size);
    const below = new Set(downstreamKeys(sides, upKey, moment));
    for (let index = 0; index < down.size; index += 1) {
      const key = down.at(index);
      const includes = upstreamKeys(sides, key, moment)?.includes(upKey) ?? false;
      expect([key, below.has(key)]).toEqual([key, includes]);
    }
  };

  test('for every window of time, offsets included', () => {
    fc.assert(
      fc.property(timed, timed, window, fc.nat(), (upstream, downstream, mapping, pick) =>
        agree({ upstream, downstream, mapping }, pick),
      ),
      { numRuns: 150 },
    );
  }, 15_000);

  test('for what the definitions suggest, dimensions included', () => {
    fc.assert(
      fc.property(anyDefinition, anyDefinition, fc.nat(), (upstream, downstream, pick) =>
        agree({ upstream, downstream, mapping: null }, pick),
      ),
      { numRuns: 100 },
    );
  }, 15_000);
});
