/** The data intervals of a range: those of the workflow's schedule, or pieces of a length. */
import { SignalboxError } from '../../domain/errors.ts';
import { type EpochMs, parseDuration } from '../../domain/time.ts';
import { type CronSchedule, type Interval, intervalFrom, nextInstant } from '../schedule/cron.ts';
import type { Range } from './range.ts';

/** Intervals of one backfill. */
const MAX_INTERVALS = 10_000;
const LEAST_EVERY_MS = 60_000;

export interface Cut {
  readonly intervals: readonly Interval[];
  /** Those of the range that end after now. */
  readonly notOver: number;
}

/**
 * Intervals that start in the range and are over; of a schedule only those between its start and end date.
 * @throws SignalboxError `invalid-request` where there are none, or more than a backfill may have
 */
export function cutRange(
  range: Range,
  by: { readonly schedule: CronSchedule } | { readonly everyMs: number },
  now: EpochMs,
): Cut {
  const { first, from } = 'schedule' in by ? ofSchedule(range, by.schedule) : ofLength(range, by);
  const intervals: Interval[] = [];
  let notOver = 0;
  for (let start = first; start !== null && start < range.to; ) {
    const interval = from(start);
    if (interval === null) break;
    if (interval.end <= now) intervals.push(interval);
    else notOver += 1;
    if (intervals.length + notOver > MAX_INTERVALS) throw tooMany(range, interval);
    start = interval.end;
  }
  if (intervals.length > 0) return { intervals, notOver };
  throw new SignalboxError(
    'invalid-request',
    notOver > 0
      ? `no interval of the range is over yet (${notOver} are still to end)`
      : 'no interval of the schedule starts in the range',
  );
}

interface Steps {
  readonly first: EpochMs | null;
  from(start: EpochMs): Interval | null;
}

function ofSchedule({ from }: Range, schedule: CronSchedule): Steps {
  const begin =
    schedule.startDate === undefined ? from : Math.max(from, Date.parse(schedule.startDate));
  return {
    first: nextInstant(schedule, begin - 1),
    from: (start) => intervalFrom(schedule, start),
  };
}

function ofLength({ from }: Range, { everyMs }: { readonly everyMs: number }): Steps {
  return { first: from, from: (start) => ({ start, end: start + everyMs }) };
}

function tooMany(range: Range, last: Interval): SignalboxError {
  const reached = new Date(last.start).toISOString();
  return new SignalboxError(
    'invalid-request',
    `a backfill has at most ${MAX_INTERVALS} intervals, and that many reach from ${new Date(range.from).toISOString()} to ${reached} only; split the range`,
    [{ path: '/to', message: `must be at most ${reached}` }],
  );
}

/** @throws SignalboxError `invalid-request` */
export function readEvery(text: string): number {
  try {
    const ms = parseDuration(text);
    if (ms >= LEAST_EVERY_MS) return ms;
  } catch {
    // Told below.
  }
  const message = 'is a duration of at least a minute, such as "1d" or "6h"';
  throw new SignalboxError('invalid-request', `/every ${message}`, [{ path: '/every', message }]);
}
