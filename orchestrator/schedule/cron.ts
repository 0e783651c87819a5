/**
 * The instants of a workflow's schedule, and the data intervals that they cut time into. A run is for the interval
 * `[previous instant, this instant)` and is due at its end; its logical date is the interval's start, so that a
 * daily run at 02:00 is for the day that is over. Several schedules of one workflow are one row of instants: what two
 * of them name comes once. All arithmetic is on instants in UTC, so they stay in order where clocks change.
 */
import { createHash } from 'node:crypto';
import { Cron } from 'croner';
import { SignalboxError } from '../../domain/errors.ts';
import type { ScheduleEntry, WorkflowSchedule } from '../../domain/schedule.ts';
import type { EpochMs } from '../../domain/time.ts';
import { readCronFields } from './cron-fields.ts';
import { type Instants, wallClockInstants } from './wall-clock.ts';
import { zoneOf } from './zone.ts';

/** A schedule, as far as it says when; a cron expression with its timezone is one. */
export type CronSchedule = Pick<WorkflowSchedule, 'cron' | 'timezone'> & Partial<WorkflowSchedule>;

/** A data interval; `end` is the instant at which its run is due. */
export interface Interval {
  readonly start: EpochMs;
  readonly end: EpochMs;
}

/** One run after the other: when depends on the runs, not on clocks. */
const NO_INSTANTS: Instants = { next: () => null, previous: () => null };

/** Schedules that were read are kept: thousands of workflows share a few of them. */
const MAX_READ = 20_000;
const read = new Map<string, Instants>();

/**
 * The instants of a schedule.
 * @throws SignalboxError `invalid-request` that says which field of which expression is wrong
 */
export function instantsOf(schedule: CronSchedule): Instants {
  if (schedule.continuous) return NO_INSTANTS;
  const entries = entriesOf(schedule);
  const key = JSON.stringify([entries, schedule.dst ?? null]);
  const known = read.get(key);
  if (known) return known;
  const fresh = union(entries.map((entry) => readEntry(entry, schedule)));
  if (read.size >= MAX_READ) read.clear();
  read.set(key, fresh);
  return fresh;
}

function entriesOf({ schedules, cron, timezone }: CronSchedule): readonly ScheduleEntry[] {
  return schedules ?? [{ cron, timezone }];
}

function readEntry(entry: ScheduleEntry, { dst }: CronSchedule): Instants {
  if ('everyMs' in entry) return everyInstants(entry.everyMs, Date.parse(entry.anchor));
  const { cron, timezone } = entry;
  try {
    return wallClockInstants(readCronFields(cron), readZone(timezone), entry.dst ?? dst);
  } catch (error) {
    if (error instanceof SignalboxError || !(error instanceof Error)) throw error;
    throw new SignalboxError(
      'invalid-request',
      `${JSON.stringify(cron)} is not a cron expression: ${error.message}`,
    );
  }
}

function readZone(timezone: string): ReturnType<typeof zoneOf> {
  try {
    return zoneOf(timezone);
  } catch {
    throw new SignalboxError(
      'invalid-request',
      `"${timezone}" is not a timezone of the IANA database, such as "Europe/Berlin"`,
    );
  }
}

function everyInstants(everyMs: number, anchor: EpochMs): Instants {
  return {
    next: (after) => anchor + (Math.floor((after - anchor) / everyMs) + 1) * everyMs,
    previous: (before) => anchor + (Math.ceil((before - anchor) / everyMs) - 1) * everyMs,
  };
}

function union(all: readonly Instants[]): Instants {
  const [only] = all;
  if (only && all.length === 1) return only;
  const best = (found: readonly (EpochMs | null)[], pick: (...of: EpochMs[]) => EpochMs) => {
    const some = found.filter((at) => at !== null);
    return some.length === 0 ? null : pick(...some);
  };
  return {
    next: (after) =>
      best(
        all.map((one) => one.next(after)),
        Math.min,
      ),
    previous: (before) =>
      best(
        all.map((one) => one.previous(before)),
        Math.max,
      ),
  };
}

/** First instant after `afterMs`; null where none is left. */
export function nextInstant(schedule: CronSchedule, afterMs: EpochMs): EpochMs | null {
  return instantsOf(schedule).next(afterMs);
}

/** Last instant before `beforeMs`; null where there is none. */
export function previousInstant(schedule: CronSchedule, beforeMs: EpochMs): EpochMs | null {
  return instantsOf(schedule).previous(beforeMs);
}

/**
 * Checks the cron expression of a deadline. Detectors read it by the library, so it is read by the library here.
 * @throws SignalboxError `invalid-request` that says what is wrong with the expression or the timezone
 */
export function parseCron({ cron, timezone }: { cron: string; timezone: string }): void {
  readZone(timezone);
  try {
    new Cron(cron.trim(), { timezone, paused: true, mode: '5-or-6-parts' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SignalboxError(
      'invalid-request',
      `"${cron}" is not a cron expression: ${reason.replace(/^CronPattern: /, '')}`,
    );
  }
}

/**
 * The first interval that ends after `afterMs` and whose logical date is neither before the schedule's start date
 * nor after its end date; null where none is left.
 */
export function intervalAfter(schedule: CronSchedule, afterMs: EpochMs): Interval | null {
  if (schedule.continuous) return continuousAfter(schedule, afterMs);
  const instants = instantsOf(schedule);
  const end = instants.next(afterMs);
  if (end === null) return null;
  const start = instants.previous(end) ?? end;
  const { from, until } = boundsOf(schedule);
  if (start >= from) return start > until ? null : { start, end };
  const first = instants.next(from - 1);
  return first === null ? null : intervalFrom(schedule, first);
}

/** Due at once; its interval ends when its run is made. */
function continuousAfter(schedule: CronSchedule, now: EpochMs): Interval | null {
  const { from, until } = boundsOf(schedule);
  const start = Math.max(now, from);
  return start > until ? null : { start, end: start };
}

/** The interval of a logical date that is an instant of the schedule; null where it ends before. */
export function intervalFrom(schedule: CronSchedule, start: EpochMs): Interval | null {
  const end = start > boundsOf(schedule).until ? null : nextInstant(schedule, start);
  return end === null ? null : { start, end };
}

/** The last interval that ended before `beforeMs`, within the schedule's dates; null where there is none. */
export function intervalBefore(schedule: CronSchedule, beforeMs: EpochMs): Interval | null {
  const instants = instantsOf(schedule);
  const { from, until } = boundsOf(schedule);
  let end = instants.previous(beforeMs);
  let start = end === null ? null : instants.previous(end);
  if (start !== null && start > until) {
    start = instants.previous(until + 1);
    end = start === null ? null : instants.next(start);
  }
  return start === null || end === null || start < from ? null : { start, end };
}

function boundsOf({ startDate, endDate }: CronSchedule): { from: EpochMs; until: EpochMs } {
  return {
    from: startDate === undefined ? Number.NEGATIVE_INFINITY : Date.parse(startDate),
    until: endDate === undefined ? Number.POSITIVE_INFINITY : Date.parse(endDate),
  };
}

/** The next interval of a schedule that is new: with catchup and a start date the first one of all. */
export function firstInterval(schedule: CronSchedule, now: EpochMs): Interval | null {
  const { startDate, catchup = false } = schedule;
  if (!catchup || startDate === undefined) return intervalAfter(schedule, now);
  const first = nextInstant(schedule, Date.parse(startDate) - 1);
  return first === null ? null : intervalFrom(schedule, first);
}

/** A function for many schedules at one moment, of which many are the same. */
export function remembered<Result>(
  of: (schedule: CronSchedule, at: EpochMs) => Result,
  at: EpochMs,
): (schedule: CronSchedule) => Result {
  const known = new Map<string, Result>();
  return (schedule) => {
    const key = JSON.stringify(schedule);
    if (known.has(key)) return known.get(key) as Result;
    const result = of(schedule, at);
    known.set(key, result);
    return result;
  };
}

/**
 * When the run of an interval starts: at its end, and later by a share of the schedule's jitter that depends on the
 * workflow and the instant alone, so that all servers agree on it. It is never later than the next instant, so that
 * runs start in order.
 */
export function dueAt(workflow: string, schedule: CronSchedule, interval: Interval): EpochMs {
  const { jitterMs = 0 } = schedule;
  if (jitterMs <= 0) return interval.end;
  const following = nextInstant(schedule, interval.end);
  const most = following === null ? jitterMs : Math.min(jitterMs, following - interval.end - 1);
  const hash = createHash('sha256').update(`${workflow}\n${interval.end}`).digest();
  return interval.end + Math.floor((hash.readUInt32BE(0) / 2 ** 32) * (most + 1));
}
