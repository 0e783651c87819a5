import { describe, expect, test } from 'vitest';
import type { DstPolicies } from '../../../domain/schedule.ts';
import {
  type CronSchedule,
  intervalAfter,
  nextInstant,
  previousInstant,
} from '../../../orchestrator/schedule/cron.ts';

/** The instants of a schedule in a stretch of time, in UTC. */
function instants(schedule: CronSchedule, from: string, to: string): string[] {
  const found: string[] = [];
  let next = nextInstant(schedule, Date.parse(from) - 1);
  while (next !== null && next < Date.parse(to)) {
    found.push(new Date(next).toISOString().replace('.000Z', 'Z'));
    next = nextInstant(schedule, next);
  }
  return found;
}

const dst = (
  missing: DstPolicies['missing'],
  duplicate: DstPolicies['duplicate'] = 'first',
): DstPolicies => ({ missing, duplicate });

describe('a time that clocks jump over', () => {
  const cases = [
    // Zone, cron, the day, when it runs with `shift`.
    ['America/New_York', '30 2 * * *', '2026-03-08', '2026-03-08T07:30:00Z'],
    ['Europe/Berlin', '30 2 * * *', '2026-03-29', '2026-03-29T01:30:00Z'],
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-04', '2026-10-03T15:45:00Z'],
    ['America/Sao_Paulo', '20 0 * * *', '2018-11-04', '2018-11-04T03:20:00Z'],
    ['Asia/Tehran', '0 0 * * *', '2022-03-22', '2022-03-21T20:30:00Z'],
    ['Africa/Casablanca', '0 2 * * *', '2026-03-22', '2026-03-22T02:00:00Z'],
  ] as const;

  test.each(cases)(
    'in %s "%s" on %s runs as much later as they jump, unless told',
    (zone, cron, day, at) => {
      const around = [
        new Date(Date.parse(`${day}T00:00:00Z`) - 12 * 3_600_000).toISOString(),
        new Date(Date.parse(`${day}T00:00:00Z`) + 12 * 3_600_000).toISOString(),
      ] as const;
      expect(instants({ cron, timezone: zone }, ...around)).toEqual([at]);
      expect(instants({ cron, timezone: zone, dst: dst('skip') }, ...around)).toEqual([]);
    },
  );

  test('the day before and the day after are as on any day, and the data interval reaches across', () => {
    const schedule = { cron: '30 2 * * *', timezone: 'America/New_York' };
    expect(instants(schedule, '2026-03-07T00:00:00Z', '2026-03-10T00:00:00Z')).toEqual([
      '2026-03-07T07:30:00Z',
      '2026-03-08T07:30:00Z',
      '2026-03-09T06:30:00Z',
    ]);
    const skipped = { ...schedule, dst: dst('skip') };
    expect(intervalAfter(skipped, Date.parse('2026-03-08T12:00:00Z'))).toEqual({
      start: Date.parse('2026-03-07T07:30:00Z'),
      end: Date.parse('2026-03-09T06:30:00Z'),
    });
  });

  test('what moves onto another time of the same schedule runs once', () => {
    const schedule = { cron: '0 2,3 * * *', timezone: 'Europe/Berlin' };
    expect(instants(schedule, '2026-03-29T00:00:00Z', '2026-03-30T00:00:00Z')).toEqual([
      '2026-03-29T01:00:00Z',
    ]);
  });

  test('a whole day that a country leaves out is run for once, with the day after it', () => {
    const schedule = { cron: '0 9 * * *', timezone: 'Pacific/Apia' };
    // Samoa had no December 30, 2011.
    expect(instants(schedule, '2011-12-29T00:00:00Z', '2012-01-01T00:00:00Z')).toEqual([
      '2011-12-29T19:00:00Z',
      '2011-12-30T19:00:00Z',
      '2011-12-31T19:00:00Z',
    ]);
    // A date that never was: a Friday the 30th runs on the 31st, or not at all.
    const friday = { cron: '0 9 30 12 *', timezone: 'Pacific/Apia' };
    expect(instants(friday, '2011-12-01T00:00:00Z', '2012-02-01T00:00:00Z')).toEqual([
      '2011-12-30T19:00:00Z',
    ]);
    expect(
      instants({ ...friday, dst: dst('skip') }, '2011-12-01T00:00:00Z', '2012-02-01T00:00:00Z'),
    ).toEqual([]);
  });
});

describe('a time that comes twice', () => {
  const cases = [
    // Zone, cron, the day in UTC, first and second time.
    [
      'America/New_York',
      '30 1 * * *',
      '2026-11-01',
      '2026-11-01T05:30:00Z',
      '2026-11-01T06:30:00Z',
    ],
    ['Europe/Berlin', '30 2 * * *', '2026-10-25', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'],
    [
      'Australia/Lord_Howe',
      '45 1 * * *',
      '2026-04-04',
      '2026-04-04T14:45:00Z',
      '2026-04-04T15:15:00Z',
    ],
    [
      'America/Sao_Paulo',
      '30 23 * * *',
      '2019-02-17',
      '2019-02-17T01:30:00Z',
      '2019-02-17T02:30:00Z',
    ],
    ['Asia/Tehran', '30 23 * * *', '2022-09-21', '2022-09-21T19:00:00Z', '2022-09-21T20:00:00Z'],
    [
      'Africa/Casablanca',
      '30 2 * * *',
      '2026-02-15',
      '2026-02-15T01:30:00Z',
      '2026-02-15T02:30:00Z',
    ],
  ] as const;

  test.each(cases)(
    'in %s "%s" on %s runs the first time, the last, both or neither',
    (zone, cron, day, first, second) => {
      const next = new Date(Date.parse(`${day}T00:00:00Z`) + 24 * 3_600_000).toISOString();
      const run = (duplicate: DstPolicies['duplicate']) =>
        instants({ cron, timezone: zone, dst: dst('shift', duplicate) }, `${day}T00:00:00Z`, next);
      expect(run('first')).toEqual([first]);
      expect(run('last')).toEqual([second]);
      expect(run('both')).toEqual([first, second]);
      expect(run('none')).toEqual([]);
      expect(instants({ cron, timezone: zone }, `${day}T00:00:00Z`, next)).toEqual([first]);
    },
  );
});

test('a time of one day in the year that comes twice is found the second time too', () => {
  const yearly = {
    ...{ cron: '30 1 1 11 *', timezone: 'America/New_York', dst: dst('shift', 'both') },
  };
  expect(instants(yearly, '2026-01-01T00:00:00Z', '2028-01-01T00:00:00Z')).toEqual([
    '2026-11-01T05:30:00Z',
    '2026-11-01T06:30:00Z',
    '2027-11-01T05:30:00Z',
  ]);
  const second = Date.parse('2026-11-01T06:30:00Z');
  expect(previousInstant(yearly, second)).toBe(second - 3_600_000);
});

describe('a schedule that is not about an hour of the day', () => {
  const zones = [
    ['America/New_York', '2026-03-08'],
    ['America/New_York', '2026-11-01'],
    ['Europe/Berlin', '2026-03-29'],
    ['Europe/Berlin', '2026-10-25'],
    ['America/Sao_Paulo', '2018-11-04'],
    ['America/Sao_Paulo', '2019-02-17'],
    ['Asia/Tehran', '2022-03-21'],
    ['Africa/Casablanca', '2026-02-15'],
  ] as const;

  test.each(zones)(
    'in %s on %s runs each real hour and quarter, whatever the policies',
    (timezone, day) => {
      const to = new Date(Date.parse(`${day}T00:00:00Z`) + 48 * 3_600_000).toISOString();
      for (const policies of [dst('skip', 'none'), dst('shift', 'first')]) {
        const hourly = instants(
          { cron: '@hourly', timezone, dst: policies },
          `${day}T00:00:00Z`,
          to,
        );
        expect(gapsOf(hourly)).toEqual([3_600_000]);
        const quarterly = { cron: '*/15 * * * *', timezone, dst: policies };
        expect(gapsOf(instants(quarterly, `${day}T00:00:00Z`, to))).toEqual([900_000]);
      }
    },
  );

  test('in Australia/Lord_Howe, whose clocks change by half an hour, no hour is without its run', () => {
    const hourly = { cron: '@hourly', timezone: 'Australia/Lord_Howe' };
    expect(instants(hourly, '2026-10-03T14:00:00Z', '2026-10-03T18:00:00Z')).toEqual([
      '2026-10-03T14:30:00Z',
      '2026-10-03T15:30:00Z',
      '2026-10-03T16:00:00Z',
      '2026-10-03T17:00:00Z',
    ]);
    const quarterly = { cron: '*/15 * * * *', timezone: 'Australia/Lord_Howe' };
    expect(gapsOf(instants(quarterly, '2026-10-03T00:00:00Z', '2026-10-05T00:00:00Z'))).toEqual([
      900_000,
    ]);
  });

  test('an interval counts elapsed time, in any zone', () => {
    const schedule: CronSchedule = {
      ...{ cron: 'every 6h', timezone: 'Europe/Berlin' },
      schedules: [{ everyMs: 6 * 3_600_000, anchor: '2026-01-01T01:00:00Z' }],
    };
    const found = instants(schedule, '2026-03-28T00:00:00Z', '2026-03-31T00:00:00Z');
    expect(gapsOf(found)).toEqual([6 * 3_600_000]);
    expect(found[0]).toBe('2026-03-28T01:00:00Z');
  });

  test('in Asia/Kathmandu midnight is at a quarter past the hour in UTC', () => {
    const midnight = { cron: '@daily', timezone: 'Asia/Kathmandu' };
    expect(instants(midnight, '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z')).toEqual([
      '2026-01-01T18:15:00Z',
      '2026-01-02T18:15:00Z',
    ]);
  });
});

function gapsOf(found: readonly string[]): number[] {
  const times = found.map((one) => Date.parse(one));
  return [...new Set(times.slice(1).map((one, index) => one - (times[index] ?? 0)))];
}
