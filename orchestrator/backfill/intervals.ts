/** The data intervals of a range: those of the workflow's schedule, or pieces of a length. */
import { SignalboxError } from '../../domain/errors.ts';
import { type EpochMs, parseDuration } from '../../domain/time.ts';
import { type CronSchedule, type Interval, nextInstant } from '../schedule/cron.ts';
import type { Range } from './range.ts';

/** Intervals of one backfill. */
export const MAX_INTERVALS = 10_000;
const LEAST_EVERY_MS = 60_000;

export interface Cut {
  readonly intervals: readonly Interval[];
  /** Those of the range that end after now. */
  readonly notOver: number;
}

/**
 * Intervals that start in the range and are over.
 * @param every length of each; null for those of the schedule
 * @throws SignalboxError `invalid-request` where there are none, or more than a backfill may have
 */
export function cutRange(
  range: Range,
  by: { readonly schedule: CronSchedule } | { readonly everyMs: number },
  now: EpochMs,
): Cut {
  const next =
    'schedule' in by
      ? (after: EpochMs) => nextInstant(by.schedule, after)
      : (after: EpochMs) => after + by.everyMs;
  let start =
    'schedule' in by ? nextInstant(by.schedule, range.from - 1) : (range.from as EpochMs | null);
  const intervals: Interval[] = [];
  let notOver = 0;
  while (start !== null && start < range.to) {
    const end = next(start);
    if (end === null) break;
    if (end <= now) intervals.push({ start, end });
    else notOver += 1;
    if (intervals.length + notOver > MAX_INTERVALS) throw tooMany(range, intervals.at(-1));
    start = end;
  }
  if (intervals.length > 0) return { intervals, notOver };
  throw new SignalboxError(
    'invalid-request',
    notOver > 0
      ? `no interval of the range is over yet (${notOver} are still to end)`
      : 'no interval of the schedule starts in the range',
  );
}

function tooMany(range: Range, last: Interval | undefined): SignalboxError {
  const reached = new Date(last?.start ?? range.from).toISOString();
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
