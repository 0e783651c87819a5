/** Partitions of time against the schedule's own cron instants, in zones and years where clocks change oddly. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PartitionUnit, TimePartitions } from '../../../../domain/partition.ts';
import { timeLine } from '../../../../orchestrator/assets/partitions/time-line.ts';
import { nextInstant } from '../../../../orchestrator/schedule/cron.ts';

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  // Midnight does not exist on a day of spring, or comes twice in autumn.
  'Asia/Beirut',
  'Africa/Cairo',
  'America/Havana',
  'America/Sao_Paulo',
  // Half an hour of summer time, quarter-hour offsets, a day that never was.
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Pacific/Apia',
];
const CRON: Record<Exclude<PartitionUnit, 'cron' | 'hour'>, string> = {
  day: '0 0 * * *',
  week: '0 0 * * 0',
  month: '0 0 1 * *',
};

function of(every: PartitionUnit, timezone: string, more: Partial<TimePartitions> = {}) {
  const base: TimePartitions = {
    ...{ kind: 'time', every, cron: null, timezone, start: '2010-01-01', end: null },
    ...more,
  };
  return base;
}

const zone = fc.constantFrom(...ZONES);
const moment = fc.integer({ min: Date.UTC(2010, 1, 1), max: Date.UTC(2030, 0, 1) });

describe('partitions of time', () => {
  test('days, weeks and months begin where the schedule’s cron instants are, in every timezone', () => {
    fc.assert(
      fc.property(
        zone,
        moment,
        fc.constantFrom('day' as const, 'week' as const, 'month' as const),
        (timezone, at, every) => {
          // Samoa left out 2011-12-30: that partition is empty, and cron has no instant for it.
          fc.pre(
            timezone !== 'Pacific/Apia' || Math.abs(at - Date.UTC(2011, 11, 30)) > 40 * 86_400_000,
          );
          const line = timeLine(of(every, timezone));
          const { start, end } = line.interval(line.indexAt(at));
          expect(start).toBeLessThanOrEqual(at);
          expect(end).toBeGreaterThan(at);
          const next = nextInstant({ cron: CRON[every], timezone }, at);
          expect(new Date(end).toISOString()).toBe(new Date(next ?? 0).toISOString());
        },
      ),
      { numRuns: 1_500 },
    );
  });

  test('partitions follow each other without a gap, and each key names the partition that it is of', () => {
    fc.assert(
      fc.property(
        zone,
        moment,
        fc.constantFrom('hour' as const, 'day' as const, 'week' as const, 'month' as const),
        (timezone, at, every) => {
          const line = timeLine(of(every, timezone));
          const index = line.indexAt(at);
          const { start, end } = line.interval(index);
          expect(line.interval(index + 1).start).toBe(end);
          expect(line.indexOf(line.keyAt(index))).toBe(index);
          if (end > start) {
            expect(line.indexAt(start)).toBe(index);
            expect(line.indexAt(end - 1)).toBe(index);
          }
        },
      ),
      { numRuns: 1_500 },
    );
  });

  test('the hour that comes twice has two keys, the one that is left out has none', () => {
    const line = timeLine(of('hour', 'Europe/Berlin', { start: '2024-10-27' }));
    const keys = Array.from({ length: 5 }, (_, index) => line.keyAt(index));
    expect(keys).toEqual([
      '2024-10-27T00:00+02:00',
      '2024-10-27T01:00+02:00',
      '2024-10-27T02:00+02:00',
      '2024-10-27T02:00+01:00',
      '2024-10-27T03:00+01:00',
    ]);
    expect(line.indexOf('2024-10-27T02:00+01:00')).toBe(3);
    const spring = timeLine(of('hour', 'Europe/Berlin', { start: '2024-03-31' }));
    expect([1, 2].map(spring.keyAt)).toEqual(['2024-03-31T01:00+01:00', '2024-03-31T03:00+02:00']);
    expect(spring.indexOf('2024-03-31T02:00+01:00')).toBeNull();
  });

  test('a day of a change has 23 or 25 hours, and is expected once it is over there', () => {
    const line = timeLine(of('day', 'Europe/Berlin', { start: '2024-03-31' }));
    const { start, end } = line.interval(0);
    expect((end - start) / 3_600_000).toBe(23);
    expect(line.expectedAt(end - 1)).toBe(0);
    expect(line.expectedAt(end)).toBe(1);
    expect(line.begunAt(start)).toBe(1);
    expect(line.begunAt(start - 1)).toBe(0);
  });

  test('an end bounds them, and what ends after it is left out', () => {
    const line = timeLine(of('day', 'UTC', { start: '2024-01-01', end: '2024-01-04' }));
    expect(line.expectedAt(Date.UTC(2030, 0, 1))).toBe(3);
    expect(line.indexOf('2024-01-03')).toBe(2);
    expect(line.indexOf('2024-01-04')).toBeNull();
    expect(line.indexOf('2023-12-31')).toBeNull();
  });

  test('a partition beyond the complete ones is expected where the code says so', () => {
    const line = timeLine(of('day', 'UTC', { start: '2024-01-01', endOffset: 1 }));
    expect(line.expectedAt(Date.UTC(2024, 0, 3, 12))).toBe(3);
    expect(line.begunAt(Date.UTC(2024, 0, 3, 12))).toBe(3);
  });

  test('partitions of a cron expression lie between its instants', () => {
    const cron = '0 6 * * 1-5';
    const line = timeLine(of('cron', 'Europe/Berlin', { cron, start: '2024-03-28' }));
    expect([0, 1, 2].map(line.keyAt)).toEqual(['2024-03-28', '2024-03-29', '2024-04-01']);
    expect(line.indexOf('2024-04-01')).toBe(2);
    expect(line.indexOf('2024-03-30')).toBeNull();
    expect(line.indexAt(Date.parse('2024-03-31T12:00:00Z'))).toBe(1);
    const often = timeLine(of('cron', 'UTC', { cron: '*/15 * * * *', start: '2024-01-01' }));
    expect(often.keyAt(1)).toBe('2024-01-01T00:15Z');
    expect(often.indexOf('2024-01-01T00:15Z')).toBe(1);
  });

  test('counting ten years of hours costs no walk over them', () => {
    const line = timeLine(of('hour', 'America/New_York'));
    const started = performance.now();
    for (let look = 0; look < 2_000; look += 1) line.expectedAt(Date.UTC(2026, 0, 1) + look);
    expect(line.expectedAt(Date.UTC(2026, 0, 1))).toBeGreaterThan(140_000);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
