/** Months that are in progress, made from the days that are there (`endOffset: 1`). */
import { asset, daily, dep, eager, hourly, monthly, timeWindow, weekly } from 'signalbox';
import { describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { upstreamKeys } from '../../../orchestrator/assets/partitions/mapping.ts';
import { partitionSet } from '../../../orchestrator/assets/partitions/partition-set.ts';
import { cronPartitions } from '../../../orchestrator/define/partitions.ts';
import { type AutomationStand, startAutomationStand } from '../automation/stand.ts';

const HOUR = 3_600_000;
const start = '2026-01-01';
const days = daily({ start });
const months = monthly({ start, endOffset: 1 });
const none = new Map();

const daysOf = (month: string, at: string) =>
  upstreamKeys({ upstream: days, downstream: months, mapping: null }, month, {
    now: Date.parse(at),
    dynamic: none,
  });

describe('endOffset', () => {
  it('counts what is in progress, or leaves complete ones out, for every unit of time', () => {
    const now = Date.UTC(2026, 2, 10, 12);
    const newest = (of: Parameters<typeof partitionSet>[0]) => {
      const set = partitionSet(of, now, none);
      return set.at(set.size - 1);
    };
    const keys = [-1, 0, 1].map((endOffset) =>
      [hourly, daily, weekly, monthly].map((unit) => newest(unit({ start, endOffset }))),
    );
    expect(keys).toEqual([
      ['2026-03-10T10:00Z', '2026-03-08', '2026-02-22', '2026-01'],
      ['2026-03-10T11:00Z', '2026-03-09', '2026-03-01', '2026-02'],
      ['2026-03-10T12:00Z', '2026-03-10', '2026-03-08', '2026-03'],
    ]);
    const working = (endOffset: number) =>
      newest(cronPartitions('0 6 * * 1-5', { start, endOffset }));
    expect([-1, 0, 1].map(working)).toEqual(['2026-03-06', '2026-03-09', '2026-03-10']);
  });

  it('makes the month in progress from the days that should be there, a month that is over from all of them', () => {
    expect(daysOf('2026-03', '2026-03-10T12:00:00Z')).toHaveLength(9);
    expect(daysOf('2026-03', '2026-03-31T23:59:59Z')).toHaveLength(30);
    expect(daysOf('2026-03', '2026-04-01T00:00:00Z')).toHaveLength(31);
    expect(daysOf('2026-02', '2026-03-10T12:00:00Z')).toHaveLength(28);
  });

  it('leaves a month of which no day is complete to wait for the first', () => {
    expect(daysOf('2026-03', '2026-03-01T12:00:00Z')).toEqual(['2026-03-01']);
  });

  it('counts the day in progress where the days do as well', () => {
    const sides = { upstream: daily({ start, endOffset: 1 }), downstream: months, mapping: null };
    const moment = { now: Date.parse('2026-03-10T12:00:00Z'), dynamic: none };
    expect(upstreamKeys(sides, '2026-03', moment)?.at(-1)).toBe('2026-03-10');
  });
});

describe('a month in progress', () => {
  // The last days of January are all that there are.
  const orders = asset('m/orders', { partitions: daily({ start: '2026-01-28' }) }, () => 1);
  const sums = asset(
    'm/sums',
    { partitions: months, dependsOn: { days: dep(orders, timeWindow()) }, automation: eager() },
    (_ctx, inputs: { days: Record<string, number> }) => Object.keys(inputs.days),
  );

  const made = async (stand: AutomationStand, month: string, count: number) =>
    stand.until(`${month} of ${count} days`, async () => {
      await stand.look();
      const { items } = await stand.orchestrator.assets.partitions('m/sums', {});
      const found = items.find(({ key }) => key === month);
      if (!found?.runId || found.state === 'running') return false;
      const { state } = await stand.orchestrator.runs.get(found.runId);
      if (state !== 'succeeded') return false;
      const [version] = (await stand.orchestrator.assets.materializations('m/sums', {})).items;
      const keys = version?.partition === month && version.inputs;
      return keys && keys.length === count && found;
    });

  it('is made anew with each day, is stale while a day came that it lacks, and once more when it is over', async () => {
    const clock = manualClock(Date.parse('2026-01-30T01:00:00Z'));
    await using stand = await startAutomationStand(clock);
    await stand.register(orders, sums);
    await stand.work(sums);
    await stand.report('m/orders', '2026-01-28');
    await stand.look();
    expect((await stand.of('m/sums')).reason?.message).toContain('partition 2026-01-29');
    await stand.report('m/orders', '2026-01-29');
    await made(stand, '2026-01', 2);
    clock.advance(24 * HOUR);
    await stand.report('m/orders', '2026-01-30');
    const { items } = await stand.orchestrator.assets.partitions('m/sums', {});
    expect(items[0]).toMatchObject({ key: '2026-01', state: 'stale' });
    expect(items[0]?.causes[0]).toMatchObject({ reason: 'upstream-changed', upstream: 'm/orders' });
    expect((await made(stand, '2026-01', 3)).state).toBe('fresh');
    await stand.report('m/orders', '2026-01-31');
    // It is February before anybody looks again.
    clock.advance(24 * HOUR);
    expect((await made(stand, '2026-01', 4)).state).toBe('fresh');
    expect((await stand.of('m/sums')).reason?.message).toContain('partition 2026-02-01');
  });
});
