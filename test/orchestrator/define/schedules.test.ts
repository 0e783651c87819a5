import { describe, expect, test } from 'vitest';
import { flow, workflow } from '../../../orchestrator/index.ts';

type Options = Parameters<typeof workflow>[1];

function scheduleOf(options: Options) {
  const defined = workflow('daily', options, (w) => {
    w.task('one', {}, async () => null);
  });
  return defined.described.schedule;
}

describe('schedules as they are written', () => {
  test('the plain form says what it always said', () => {
    expect(scheduleOf({ schedule: '0 2 * * *', timezone: 'UTC' })).toEqual({
      ...{ cron: '0 2 * * *', timezone: 'UTC', catchup: false },
    });
    expect(scheduleOf({})).toBeNull();
    const defined = flow('f', { schedule: '@daily', catchup: true }, async () => null);
    expect(defined.described.schedule).toEqual({ cron: '@daily', timezone: 'UTC', catchup: true });
  });

  test('intervals count from the start date, or from an anchor, or from a Monday in UTC', () => {
    const of = (options: Options) => scheduleOf(options)?.schedules;
    expect(of({ schedule: '15m' })).toEqual([
      { everyMs: 900_000, anchor: '2000-01-03T00:00:00.000Z' },
    ]);
    expect(of({ schedule: 'PT15M' })).toEqual(of({ schedule: { every: '15m' } }));
    expect(
      of({ schedule: { every: '36h' }, startDate: '2026-01-05', timezone: 'Asia/Tokyo' }),
    ).toEqual([{ everyMs: 36 * 3_600_000, anchor: '2026-01-04T15:00:00.000Z' }]);
    expect(
      of({ schedule: { every: '7d', anchor: '2026-01-05T06:00' }, timezone: 'Europe/Berlin' }),
    ).toEqual([{ everyMs: 7 * 86_400_000, anchor: '2026-01-05T05:00:00.000Z' }]);
    expect(scheduleOf({ schedule: { every: '90m' } })?.cron).toBe('every 90m');
  });

  test('several keep a text for people and say exactly what they are', () => {
    const schedule = scheduleOf({
      schedule: [
        '0 6 * * 1-5',
        { cron: '0 9 * * 6', timezone: 'Asia/Tokyo', dst: { missing: 'skip' } },
        '6h',
      ],
      timezone: 'Europe/Berlin',
    });
    expect(schedule).toEqual({
      cron: '0 6 * * 1-5; 0 9 * * 6 (Asia/Tokyo); every 6h',
      timezone: 'Europe/Berlin',
      catchup: false,
      schedules: [
        { cron: '0 6 * * 1-5', timezone: 'Europe/Berlin' },
        { cron: '0 9 * * 6', timezone: 'Asia/Tokyo', dst: { missing: 'skip', duplicate: 'first' } },
        { everyMs: 6 * 3_600_000, anchor: '2000-01-03T00:00:00.000Z' },
      ],
    });
  });

  test('dates are on the clocks of the timezone; an end date means all of its day', () => {
    const { startDate, endDate } =
      scheduleOf({
        ...{ schedule: '@hourly', timezone: 'Asia/Kathmandu' },
        ...{ startDate: '2026-01-01', endDate: '2026-01-31' },
      }) ?? {};
    expect(startDate).toBe('2025-12-31T18:15:00.000Z');
    expect(endDate).toBe('2026-01-31T18:14:59.999Z');
    const exact = scheduleOf({ schedule: '@hourly', startDate: '2026-01-01T06:00:00+02:00' });
    expect(exact?.startDate).toBe('2026-01-01T04:00:00.000Z');
  });

  test('one run after the other has no instants, and so no policies about them', () => {
    expect(scheduleOf({ schedule: '@continuous' })).toEqual({
      ...{ cron: '@continuous', timezone: 'UTC', continuous: true, catchup: false },
    });
    expect(() => scheduleOf({ schedule: '@continuous', overlap: 'skip' })).toThrow(
      'overlap: does not go with @continuous',
    );
    expect(() => scheduleOf({ schedule: ['@daily', '@continuous'] })).toThrow('presets are');
  });

  test('limits of catchup, jitter, policies of overlap and of clock changes', () => {
    expect(
      scheduleOf({
        ...{ schedule: '@hourly', jitter: '30s', dependsOnPast: true },
        ...{ catchup: { atMost: 5, within: '2d' }, overlap: { policy: 'queue', atMost: 3 } },
        dst: { duplicate: 'last' },
      }),
    ).toEqual({
      ...{ cron: '@hourly', timezone: 'UTC', jitterMs: 30_000, dependsOnPast: true },
      ...{ catchup: true, catchupAtMost: 5, catchupWithinMs: 2 * 86_400_000 },
      overlap: { policy: 'queue', atMost: 3 },
      dst: { missing: 'shift', duplicate: 'last' },
    });
    expect(scheduleOf({ schedule: '@hourly', overlap: 'skip' })?.overlap).toEqual({
      policy: 'skip',
    });
  });
});

describe('a schedule that is wrong is told with its place', () => {
  const cases: readonly (readonly [Options, string])[] = [
    [
      { schedule: '0 25 * * *' },
      'workflow "daily": schedule: "0 25 * * *" is not a cron expression such as "0 2 * * *" or "@daily": its hour, "25", is not made of 0–23',
    ],
    [{ schedule: '0 0 31 2 *' }, 'its date never comes'],
    [{ schedule: ['@daily', '0 0 * 13 *'] }, 'its month, "13"'],
    [
      { schedule: { cron: '@daily', timezone: 'Berlin' } },
      'schedule: timezone: "Berlin" is not a timezone',
    ],
    [{ schedule: { every: '100ms' } }, 'schedule: every: must be a duration of 1s at least'],
    [{ schedule: { every: '1h', anchor: 'noon' } }, 'anchor: "noon" is not a date'],
    [{ schedule: [] }, 'schedule: must be a schedule, or a list of 1 to 50'],
    [
      { schedule: '@daily', startDate: '1999-12-31' },
      'startDate: "1999-12-31" is not a date such as',
    ],
    [
      { schedule: '@daily', startDate: '2026-02-30' },
      'startDate: "2026-02-30" is not a date such as',
    ],
    [
      { schedule: '@daily', startDate: '2026-02-01', endDate: '2026-01-01' },
      'endDate: is before startDate',
    ],
    [{ startDate: '2026-01-01' }, 'startDate: there is no schedule that it is for'],
    [{ overlap: 'skip' }, 'overlap: there is no schedule that it is for'],
    [{ catchup: true }, 'catchup: there is no schedule that it is for'],
    [{ jitter: '1m' }, 'jitter: there is no schedule that it is for'],
    [{ dst: { missing: 'skip' } }, 'dst: there is no schedule that it is for'],
    [{ dependsOnPast: true }, 'dependsOnPast: there is no schedule that it is for'],
    [
      { schedule: '@daily', overlap: { policy: 'skip', atMost: 2 } },
      'atMost goes with the policy "queue" only',
    ],
    [
      { schedule: '@daily', overlap: 'stop' as 'skip' },
      'overlap: must be "queue" or "skip" or "cancel-running" or "allow"',
    ],
    [
      { schedule: '@daily', dst: { missing: 'move' as 'skip' } },
      'dst: missing: must be "shift" or "skip"',
    ],
    [{ schedule: '@daily', jitter: '2d' }, 'jitter: must be at most 1d'],
    [{ schedule: '@daily', catchup: { atMost: 0 } }, 'catchup: atMost: must be a whole number'],
  ];

  test.each(cases)('%j: %s', (options, told) => {
    expect(() => scheduleOf(options)).toThrow(told);
  });
});
