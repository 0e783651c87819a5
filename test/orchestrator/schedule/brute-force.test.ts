import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DstPolicies, WorkflowSchedule } from '../../../domain/schedule.ts';
import {
  type CronSchedule,
  dueAt,
  firstInterval,
  type Interval,
  instantsOf,
} from '../../../orchestrator/schedule/cron.ts';
import { dueIntervals } from '../../../orchestrator/schedule/due.ts';
import { bruteInstants, type CronSets, cronText, type Walk, walkClock } from './brute-force.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const at = (text: string) => Date.parse(text);

/** Zones with the years in which their clocks did something worth looking at. */
const STRETCHES = [
  ['America/New_York', '2026-01-01', '2026-12-31'],
  ['Europe/Berlin', '2026-01-01', '2026-12-31'],
  ['Australia/Lord_Howe', '2026-01-01', '2026-12-31'],
  ['Africa/Casablanca', '2026-01-01', '2026-12-31'],
  ['America/Sao_Paulo', '2018-06-01', '2019-05-31'],
  ['Pacific/Apia', '2011-06-01', '2012-05-31'],
  ['Asia/Tehran', '2022-01-01', '2022-12-31'],
  ['Asia/Kathmandu', '1985-06-01', '1986-05-31'],
  ['America/Caracas', '2016-01-01', '2016-12-31'],
] as const;

/** Single days on which clocks change, for expressions with seconds. */
const CHANGES = [
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['America/Sao_Paulo', '2018-11-04'],
  ['America/Sao_Paulo', '2019-02-17'],
  ['Pacific/Apia', '2011-12-30'],
] as const;

const subset = (least: number, most: number, maxLength: number) =>
  fc
    .uniqueArray(fc.integer({ min: least, max: most }), { minLength: 1, maxLength })
    .map((numbers) => numbers.sort((a, b) => a - b));
const orAny = (numbers: fc.Arbitrary<number[]>, weight = 1) =>
  fc.oneof({ arbitrary: numbers, weight: 2 }, { arbitrary: fc.constant(null), weight });
/** Mostly the hours at which clocks change. */
const hours = fc.oneof(subset(0, 3, 4), subset(0, 23, 3), fc.constant(null));
const sets = (seconds: fc.Arbitrary<number[]>): fc.Arbitrary<CronSets> =>
  fc.record({
    seconds,
    minutes: subset(0, 59, 4),
    hours,
    days: orAny(subset(1, 31, 6), 4),
    months: orAny(subset(1, 12, 6), 4),
    weekdays: orAny(subset(0, 6, 3), 3),
  });
const policies: fc.Arbitrary<DstPolicies> = fc.record({
  missing: fc.constantFrom('shift', 'skip'),
  duplicate: fc.constantFrom('first', 'last', 'both', 'none'),
});

const walks = new Map<string, Walk>();
function walkOf(timezone: string, from: number, to: number, stepMs: number): Walk {
  const key = `${timezone} ${from} ${stepMs}`;
  const walk = walks.get(key) ?? walkClock(timezone, from, to, stepMs);
  walks.set(key, walk);
  return walk;
}

function allBetween(schedule: CronSchedule, from: number, to: number): number[] {
  const instants = instantsOf(schedule);
  const found: number[] = [];
  for (let next = instants.next(from - 1); next !== null && next < to; ) {
    found.push(next);
    next = instants.next(next);
  }
  return found;
}

function allBack(schedule: CronSchedule, from: number, to: number): number[] {
  const instants = instantsOf(schedule);
  const found: number[] = [];
  for (let last = instants.previous(to); last !== null && last >= from; ) {
    found.push(last);
    last = instants.previous(last);
  }
  return found.reverse();
}

/** Tells only what differs: there may be hundreds of thousands. */
function expectSame(found: readonly number[], expected: readonly number[], what: string): void {
  const differs = Array.from({ length: Math.max(found.length, expected.length) }, (_, i) => i).find(
    (index) => found[index] !== expected[index],
  );
  if (differs === undefined) return;
  const shown = (one: number | undefined) =>
    one === undefined ? 'none' : new Date(one).toISOString();
  expect(`${what}: ${shown(found[differs])}`).toBe(`${what}: ${shown(expected[differs])}`);
}

describe('instants of a schedule', () => {
  test.each(STRETCHES)(
    'in %s (%s to %s) are those of a walk minute by minute, forward and back',
    (timezone, first, last) => {
      const from = at(`${first}T00:00:00Z`);
      const to = at(`${last}T00:00:00Z`);
      const walk = walkOf(timezone, from, to, MINUTE_MS);
      // What the walk cannot see of the days beyond its ends is left out.
      const [begin, end] = [from + 2 * DAY_MS, to - 2 * DAY_MS];
      fc.assert(
        fc.property(sets(fc.constant([0])), policies, (cron, dst) => {
          const schedule = { cron: cronText(cron), timezone, dst };
          const expected = bruteInstants(walk, cron, dst).filter(
            (one) => one >= begin && one < end,
          );
          expectSame(allBetween(schedule, begin, end), expected, 'forward');
          expectSame(allBack(schedule, begin, end), expected, 'back');
        }),
        { numRuns: 10 },
      );
    },
  );

  test.each(CHANGES)('in %s on %s are those of a walk second by second', (timezone, day) => {
    const from = at(`${day}T00:00:00Z`) - 2 * DAY_MS;
    const to = from + 4 * DAY_MS;
    const walk = walkOf(timezone, from, to, 1_000);
    const [begin, end] = [from + DAY_MS, to - DAY_MS];
    fc.assert(
      fc.property(sets(subset(0, 59, 2)), policies, (cron, dst) => {
        const schedule = { cron: cronText(cron), timezone, dst };
        const expected = bruteInstants(walk, cron, dst).filter((one) => one >= begin && one < end);
        expectSame(allBetween(schedule, begin, end), expected, 'forward');
        expectSame(allBack(schedule, begin, end), expected, 'back');
      }),
      { numRuns: 5 },
    );
  });
});

interface Plan {
  readonly catchup: Pick<WorkflowSchedule, 'catchup' | 'catchupAtMost' | 'catchupWithinMs'>;
  readonly startDay: number | null;
  readonly endDay: number | null;
  readonly jitterMs: number;
  /** Days from one look of the scheduler to the next: short ones, and long ones such as a stop or a pause. */
  readonly looks: readonly number[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  catchup: fc.constantFrom<Plan['catchup']>(
    { catchup: false },
    { catchup: true },
    { catchup: true, catchupAtMost: 3 },
    { catchup: true, catchupWithinMs: 5 * DAY_MS },
    { catchup: true, catchupAtMost: 4, catchupWithinMs: 2 * DAY_MS },
  ),
  startDay: fc.option(fc.integer({ min: -30, max: 60 })),
  endDay: fc.option(fc.integer({ min: 30, max: 120 })),
  jitterMs: fc.constantFrom(0, 0, 30_000, 3 * 3_600_000),
  looks: fc.array(
    fc.oneof(fc.double({ min: 0, max: 0.3, noNaN: true }), fc.constantFrom(1, 7, 40)),
    {
      minLength: 1,
      maxLength: 25,
    },
  ),
});

function intervalText({ start, end }: Interval): string {
  return `${new Date(start).toISOString()}/${new Date(end).toISOString()}`;
}

/** What the runs and the passed-over intervals of all looks should be, from a list of instants. */
function bruteRuns(
  schedule: WorkflowSchedule,
  instants: readonly number[],
  registeredAt: number,
  looks: readonly number[],
): { run: string[]; passed: string[] } {
  const start =
    schedule.startDate === undefined ? Number.NEGATIVE_INFINITY : at(schedule.startDate);
  const end = schedule.endDate === undefined ? Number.POSITIVE_INFINITY : at(schedule.endDate);
  const fromStart = schedule.catchup && schedule.startDate !== undefined;
  let left = instants
    .slice(0, -1)
    .map((one, index): Interval => ({ start: one, end: instants[index + 1] ?? 0 }))
    .filter((one) => one.start >= start && one.start <= end)
    .filter((one) => fromStart || one.end > registeredAt);
  const run: Interval[] = [];
  const passed: Interval[] = [];
  for (const now of looks) {
    const due = left.filter((one) => dueAt('w', schedule, one) <= now);
    left = left.slice(due.length);
    const atMost = schedule.catchup ? (schedule.catchupAtMost ?? Number.POSITIVE_INFINITY) : 1;
    const within = schedule.catchupWithinMs ?? Number.POSITIVE_INFINITY;
    const kept = due.filter(
      (one, index) =>
        index === due.length - 1 || (index >= due.length - atMost && one.end >= now - within),
    );
    run.push(...kept);
    passed.push(...due.filter((one) => !kept.includes(one)));
  }
  return { run: run.map(intervalText), passed: passed.map(intervalText).sort() };
}

/** The same by what is tested: look after look, each until nothing more is due. */
function scheduledRuns(schedule: WorkflowSchedule, registeredAt: number, looks: readonly number[]) {
  const run: Interval[] = [];
  const passed: Interval[] = [];
  let next = firstInterval(schedule, registeredAt);
  for (const now of looks) {
    while (next !== null && dueAt('w', schedule, next) <= now) {
      const due = dueIntervals({
        ...{ workflow: 'w', schedule, from: next, now },
        ...{ limit: 7, passedOverLimit: 100_000 },
      });
      run.push(...due.intervals);
      passed.push(...due.passedOver);
      next = due.next;
    }
  }
  return { run: run.map(intervalText), passed: passed.map(intervalText).sort() };
}

test.each(STRETCHES.slice(0, 6))(
  'in %s (%s to %s) the same intervals run and are passed over as by brute force, whatever the dates, stops and limits',
  (timezone, first, last) => {
    const from = at(`${first}T00:00:00Z`);
    const walk = walkOf(timezone, from, at(`${last}T00:00:00Z`), MINUTE_MS);
    const cron = sets(fc.constant([0]));
    fc.assert(
      fc.property(cron, policies, plan, (one, dst, of) => {
        const registeredAt = from + 50 * DAY_MS;
        const day = (days: number) => new Date(registeredAt + days * DAY_MS).toISOString();
        const schedule: WorkflowSchedule = {
          ...{ cron: cronText(one), timezone, dst, jitterMs: of.jitterMs, ...of.catchup },
          ...(of.startDay === null ? {} : { startDate: day(of.startDay) }),
          ...(of.endDay === null ? {} : { endDate: day(of.endDay) }),
        };
        let now = registeredAt;
        const looks = of.looks.map((days) => {
          now += Math.round(days * DAY_MS);
          return now;
        });
        const instants = bruteInstants(walk, one, dst);
        // Rare ones: the walk must see beyond what is asked.
        fc.pre((instants.at(-1) ?? 0) > now && (instants[0] ?? now) < registeredAt - 31 * DAY_MS);
        expect(scheduledRuns(schedule, registeredAt, looks)).toEqual(
          bruteRuns(schedule, instants, registeredAt, looks),
        );
      }),
      { numRuns: 14 },
    );
  },
);
