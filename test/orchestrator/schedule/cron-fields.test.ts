import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  intervalAfter,
  nextInstant,
  previousInstant,
} from '../../../orchestrator/schedule/cron.ts';
import { readCronFields } from '../../../orchestrator/schedule/cron-fields.ts';

describe('a cron expression that is wrong', () => {
  test.each([
    ['61 * * * *', 'its minute, "61", is not made of 0–59'],
    ['0 25 * * *', 'its hour, "25", is not made of 0–23'],
    ['0 0 32 * *', 'its day of the month, "32", is not made of 1–31'],
    ['0 0 * 13 *', 'its month, "13", is not made of 1–12 or jan–dec'],
    ['0 0 * * 8', 'its day of the week, "8", is not made of 0–7 or sun–sat'],
    ['0 0 * * funday', 'its day of the week, "funday", is not made of'],
    ['60 0 0 * * *', 'its second, "60", is not made of 0–59'],
    ['5/15 * * * *', 'has a step after one number; write "5-59/15"'],
    ['*/0 * * * *', 'its minute, "*/0", has a step that is not from 1 to 59'],
    ['0 22-2 * * *', 'its hour, "22-2", has a range that ends before it begins'],
    ['0 1,,2 * * *', 'its hour, "1,,2", cannot be read'],
    ['0 0 * *', 'it has 4 fields instead of 5'],
    ['@reboot', 'presets are @hourly, @daily'],
  ])('"%s": %s', (cron, told) => {
    expect(() => readCronFields(cron)).toThrow(told);
  });
});

describe('expressions', () => {
  test('presets are what they say', () => {
    const after = Date.parse('2026-01-01T00:00:00Z');
    const next = (cron: string) =>
      new Date(nextInstant({ cron, timezone: 'UTC' }, after) ?? 0).toISOString();
    expect(next('@hourly')).toBe('2026-01-01T01:00:00.000Z');
    expect(next('@daily')).toBe('2026-01-02T00:00:00.000Z');
    expect(next('@weekly')).toBe('2026-01-04T00:00:00.000Z');
    expect(next('@monthly')).toBe('2026-02-01T00:00:00.000Z');
    expect(next('@quarterly')).toBe('2026-04-01T00:00:00.000Z');
    expect(next('@yearly')).toBe('2027-01-01T00:00:00.000Z');
  });

  test('several of a workflow are one row of instants, each once', () => {
    const schedule = {
      ...{ cron: 'text', timezone: 'UTC' },
      schedules: [
        { cron: '0 6 * * 1-5', timezone: 'Europe/Berlin' },
        { cron: '0 9 * * 6', timezone: 'Europe/Berlin' },
        { cron: '0 5 * * *', timezone: 'UTC' },
      ],
    };
    const found: string[] = [];
    // A Friday in winter: 06:00 in Berlin is 05:00 UTC.
    let at = Date.parse('2026-01-02T00:00:00Z');
    for (let count = 0; count < 4; count += 1) {
      const interval = intervalAfter(schedule, at);
      at = interval?.end ?? 0;
      found.push(new Date(at).toISOString());
    }
    expect(found).toEqual([
      '2026-01-02T05:00:00.000Z',
      '2026-01-03T05:00:00.000Z',
      '2026-01-03T08:00:00.000Z',
      '2026-01-04T05:00:00.000Z',
    ]);
  });

  const number = (least: number, most: number) => fc.integer({ min: least, max: most }).map(String);
  const item = (least: number, most: number) =>
    fc.oneof(
      number(least, most),
      fc
        .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: 0, max: 9 }))
        .map(([from, more]) => `${from}-${Math.min(most, from + more)}`),
      fc
        .tuple(fc.constant('*'), fc.integer({ min: 2, max: most }))
        .map(([all, step]) => `${all}/${step}`),
    );
  const field = (least: number, most: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.array(item(least, most), { minLength: 1, maxLength: 3 }).map((items) => items.join(',')),
    );
  const days = fc.oneof(
    field(1, 31),
    fc.constantFrom('L', '15W', '1W', '31W', 'LW', '1,15', '30,L'),
  );
  const weekdays = fc.oneof(
    field(0, 7),
    fc.constantFrom('MON-FRI', 'sun', '5#2', 'FRI#1', '1L', '0L', 'SAT,SUN', '3#5', '+1'),
  );
  const expressions = fc
    .tuple(field(0, 59), field(0, 23), days, field(1, 12), weekdays)
    .map((fields) => fields.join(' '));

  test('are read as the library croner reads them, with names, steps, L, W and #', () => {
    fc.assert(
      fc.property(
        expressions,
        fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2040, 0, 1) }),
        (cron, from) => {
          const library = new Cron(cron, { timezone: 'UTC', paused: true, mode: '5-part' });
          const schedule = { cron, timezone: 'UTC' };
          const expected = library.nextRuns(5, new Date(from)).map((date) => date.getTime());
          let at: number | null = from;
          for (const one of expected) {
            at = at === null ? null : nextInstant(schedule, at);
            expect(at).toBe(one);
          }
          const last = expected.at(-1);
          if (last === undefined) return;
          for (const one of expected.slice(0, -1).reverse()) {
            at = at === null ? null : previousInstant(schedule, at);
            expect(at).toBe(one);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('of 15,000 different schedules in many zones the next intervals take less than a second', () => {
    const zones = [
      ...['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'],
      ...['America/Sao_Paulo', 'Africa/Casablanca', 'Asia/Tokyo', 'Pacific/Apia', 'Asia/Tehran'],
    ];
    const schedules = Array.from({ length: 15_000 }, (_, index) => ({
      cron: `${index % 60} ${index % 24} ${index % 3 === 0 ? (index % 28) + 1 : '*'} * ${index % 7}`,
      timezone: zones[index % zones.length] ?? 'UTC',
    }));
    const before = performance.now();
    for (const [index, schedule] of schedules.entries()) {
      expect(intervalAfter(schedule, Date.UTC(2026, 2, 1) + index)).not.toBeNull();
    }
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});
