/**
 * Cron expressions and the data intervals they cut time into. A run of a schedule is for the interval
 * `[previous instant, this instant)` and starts at its end; its logical date is the interval's start, so that a
 * daily run at 02:00 is for the day that is over. Where clocks change, instants stay in order and none comes
 * twice, since all arithmetic is on instants in UTC.
 */
import { Cron } from 'croner';
import { SignalboxError } from '../../domain/errors.ts';
import type { EpochMs } from '../../domain/time.ts';

export interface CronSchedule {
  readonly cron: string;
  readonly timezone: string;
}

/** A data interval; `end` is also the moment at which its run is due. */
export interface Interval {
  readonly start: EpochMs;
  readonly end: EpochMs;
}

/** Parsed expressions are kept: thousands of workflows share a few of them. */
const MAX_PARSED = 5_000;
const parsed = new Map<string, Cron>();

/**
 * @throws SignalboxError `invalid-request` that says what is wrong with the expression or the timezone
 */
export function parseCron({ cron, timezone }: CronSchedule): Cron {
  const key = `${timezone}\n${cron}`;
  const known = parsed.get(key);
  if (known) return known;
  const fresh = readCron(cron, timezone);
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(key, fresh);
  return fresh;
}

function readCron(cron: string, timezone: string): Cron {
  assertTimezone(timezone);
  try {
    return new Cron(cron.trim(), { timezone, paused: true, mode: '5-or-6-parts' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SignalboxError(
      'invalid-request',
      `"${cron}" is not a cron expression: ${reason.replace(/^CronPattern: /, '')}`,
    );
  }
}

function assertTimezone(timezone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    throw new SignalboxError(
      'invalid-request',
      `"${timezone}" is not a timezone of the IANA database, such as "Europe/Berlin"`,
    );
  }
}

/** First instant after `afterMs`; null where none is left. */
export function nextInstant(schedule: CronSchedule, afterMs: EpochMs): EpochMs | null {
  const next = parseCron(schedule).nextRun(new Date(afterMs))?.getTime() ?? null;
  // An instant that is not later would be due for ever.
  return next !== null && next > afterMs ? next : null;
}

/** Last instant before `beforeMs`; null where there is none. */
export function previousInstant(schedule: CronSchedule, beforeMs: EpochMs): EpochMs | null {
  const [previous] = parseCron(schedule).previousRuns(1, new Date(beforeMs));
  return previous && previous.getTime() < beforeMs ? previous.getTime() : null;
}

/** The interval that ends with the first instant after `afterMs`; null where none is left. */
export function intervalAfter(schedule: CronSchedule, afterMs: EpochMs): Interval | null {
  const end = nextInstant(schedule, afterMs);
  return end === null ? null : { start: previousInstant(schedule, end) ?? end, end };
}

/** `intervalAfter` for thousands of schedules at one moment, of which many are the same. */
export function intervalsAfter(afterMs: EpochMs): (schedule: CronSchedule) => Interval | null {
  const known = new Map<string, Interval | null>();
  return (schedule) => {
    const key = `${schedule.timezone}\n${schedule.cron}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const interval = intervalAfter(schedule, afterMs);
    known.set(key, interval);
    return interval;
  };
}

/** What is due of a schedule, and what comes after it. */
export interface Due {
  readonly intervals: readonly Interval[];
  readonly next: Interval | null;
}

/**
 * What is due at `nowMs` from the interval `from` on. With catchup each interval since, at most `limit` of them
 * (`next` is then due already); without, only the latest one, however long nobody looked.
 */
export function dueIntervals(
  schedule: CronSchedule & { readonly catchup: boolean },
  from: Interval,
  nowMs: EpochMs,
  limit: number,
): Due {
  if (from.end > nowMs) return { intervals: [], next: from };
  if (!schedule.catchup) {
    // An instant at `nowMs` itself is due too, therefore one millisecond more.
    const end = Math.max(previousInstant(schedule, nowMs + 1) ?? from.end, from.end);
    const latest =
      end === from.end ? from : { start: previousInstant(schedule, end) ?? from.start, end };
    return { intervals: [latest], next: following(schedule, latest) };
  }
  const intervals: Interval[] = [];
  let next: Interval | null = from;
  while (next !== null && next.end <= nowMs && intervals.length < limit) {
    intervals.push(next);
    next = following(schedule, next);
  }
  return { intervals, next };
}

function following(schedule: CronSchedule, interval: Interval): Interval | null {
  const end = nextInstant(schedule, interval.end);
  return end === null ? null : { start: interval.end, end };
}
