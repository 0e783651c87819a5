import { describe, expect, test } from 'vitest';
import {
  type CronSchedule,
  type Interval,
  instantsOf,
  intervalAfter,
  nextInstant,
  parseCron,
} from '../../../orchestrator/schedule/cron.ts';
import { dueIntervals as dueOf } from '../../../orchestrator/schedule/due.ts';

const at = (text: string) => Date.parse(text);
const dueIntervals = (
  schedule: CronSchedule & { catchup: boolean },
  from: Interval,
  now: number,
  limit: number,
) => dueOf({ workflow: 'w', schedule, from, now, limit, passedOverLimit: 100 });
const shown = (interval: Interval | null) =>
  interval && [new Date(interval.start).toISOString(), new Date(interval.end).toISOString()];

describe('data intervals', () => {
  test('a daily run at 02:00 is for the day that ends then', () => {
    const interval = intervalAfter(
      { cron: '0 2 * * *', timezone: 'UTC' },
      at('2026-05-05T10:00:00Z'),
    );
    expect(shown(interval)).toEqual(['2026-05-05T02:00:00.000Z', '2026-05-06T02:00:00.000Z']);
  });

  test('six fields count seconds, presets are known, and the timezone counts', () => {
    const now = at('2026-01-01T00:00:03.500Z');
    expect(nextInstant({ cron: '*/5 * * * * *', timezone: 'UTC' }, now)).toBe(
      at('2026-01-01T00:00:05Z'),
    );
    expect(nextInstant({ cron: '@daily', timezone: 'Asia/Tokyo' }, now)).toBe(
      at('2026-01-01T15:00:00Z'),
    );
    expect(nextInstant({ cron: '@hourly', timezone: 'Asia/Kolkata' }, now)).toBe(
      at('2026-01-01T00:30:00Z'),
    );
  });

  test('an expression, a timezone, or a preset that does not exist is refused with its text', () => {
    for (const cron of ['', '* * * *', '99 * * * *', 'daily', '@reboot', '0 0 1 1 * * 2030']) {
      const told = `"${cron}" is not a cron`;
      expect(() => parseCron({ cron, timezone: 'UTC' })).toThrow(told);
      expect(() => instantsOf({ cron, timezone: 'UTC' })).toThrow(told);
    }
    expect(() => instantsOf({ cron: '@daily', timezone: 'Berlin' })).toThrow('"Berlin"');
    expect(() => parseCron({ cron: '@daily', timezone: 'Berlin' })).toThrow('"Berlin"');
  });

  test.each([
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'America/Santiago',
    'Africa/Casablanca',
  ])(
    'in %s instants go on in order through a year of clock changes, and none comes twice',
    (timezone) => {
      for (const cron of ['30 2 * * *', '*/30 0-3 * * *', '0 0 * * 0']) {
        let now = at('2026-01-01T00:00:00Z');
        let last: Interval | null = null;
        while (now < at('2027-01-01T00:00:00Z')) {
          const interval = intervalAfter({ cron, timezone }, now);
          if (!interval) throw new Error('the schedule ended');
          expect(interval.end).toBeGreaterThan(now);
          expect(interval.start).toBeLessThan(interval.end);
          if (last) expect(interval.start).toBeGreaterThanOrEqual(last.start);
          last = interval;
          now = interval.end;
        }
      }
    },
  );
});

describe('what is due', () => {
  const hourly = { cron: '@hourly', timezone: 'UTC' };
  const from = { start: at('2026-01-01T00:00:00Z'), end: at('2026-01-01T01:00:00Z') };

  test('before its end nothing is, at its very end it is', () => {
    const early = dueIntervals({ ...hourly, catchup: false }, from, from.end - 1, 10);
    expect(early).toEqual({ intervals: [], passedOver: [], next: from });
    const due = dueIntervals({ ...hourly, catchup: false }, from, from.end, 10);
    expect(due.intervals).toEqual([from]);
    expect(shown(due.next)).toEqual(['2026-01-01T01:00:00.000Z', '2026-01-01T02:00:00.000Z']);
  });

  test('after a stop of days without catchup only the latest interval is', () => {
    const now = at('2026-01-03T10:20:00Z');
    const due = dueIntervals({ ...hourly, catchup: false }, from, now, 10);
    expect(due.intervals.map(shown)).toEqual([
      ['2026-01-03T09:00:00.000Z', '2026-01-03T10:00:00.000Z'],
    ]);
    expect(shown(due.next)).toEqual(['2026-01-03T10:00:00.000Z', '2026-01-03T11:00:00.000Z']);
  });

  test('with catchup each interval is, in order and without a gap, a limited number at a time', () => {
    const now = at('2026-01-01T05:30:00Z');
    const schedule = { ...hourly, catchup: true };
    const first = dueIntervals(schedule, from, now, 3);
    expect(first.intervals.map((each) => new Date(each.start).getUTCHours())).toEqual([0, 1, 2]);
    if (!first.next) throw new Error('the schedule ended');
    const second = dueIntervals(schedule, first.next, now, 3);
    expect(second.intervals.map((each) => new Date(each.start).getUTCHours())).toEqual([3, 4]);
    expect(second.next?.end).toBeGreaterThan(now);
  });
});
