/**
 * Time and durations. Logic never reads the wall clock: it is handed a `Clock`, so that tests,
 * drills and back-tests run the same code at any moment they like.
 */

/** Milliseconds since the Unix epoch, UTC. */
export type EpochMs = number;

/** The one source of 'now'. */
export interface Clock {
  now(): EpochMs;
}

export const systemClock: Clock = { now: () => Date.now() };

/** A clock that stands still until it is moved; for tests and back-tests. */
export function manualClock(startMs: EpochMs): Clock & { advance(byMs: number): void } {
  let current = startMs;
  return {
    now: () => current,
    advance(byMs) {
      current += byMs;
    },
  };
}

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const SHORT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/;
const ISO =
  /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** Longest duration that is accepted anywhere: ten years. Longer ones are mistakes of a unit. */
const MAX_DURATION_MS = 3_650 * 86_400_000;

/**
 * Reads a duration: `"500ms"`, `"90s"`, `"60m"`, `"36h"`, `"7d"`, ISO 8601 (`"PT1H"`), or a number of
 * milliseconds. Months and years of ISO 8601 are refused, since they have no fixed length.
 * @throws RangeError that says which forms are valid
 */
export function parseDuration(input: string | number): number {
  const ms = typeof input === 'number' ? input : readDuration(input.trim());
  if (ms === undefined || !Number.isFinite(ms) || ms < 0 || ms > MAX_DURATION_MS) {
    throw new RangeError(
      `${JSON.stringify(input)} is not a duration: use "500ms", "90s", "60m", "36h", "7d" or ISO 8601 such as "PT1H" (at most ten years)`,
    );
  }
  return ms;
}

function readDuration(text: string): number | undefined {
  const short = SHORT.exec(text);
  if (short) return Number(short[1]) * (UNIT_MS[short[2] ?? ''] ?? Number.NaN);
  const iso = ISO.exec(text);
  if (!iso || text === 'P') return undefined;
  const [, weeks, days, hours, minutes, seconds] = iso.map((part) => Number(part ?? 0));
  return (
    (weeks ?? 0) * 604_800_000 +
    (days ?? 0) * 86_400_000 +
    (hours ?? 0) * 3_600_000 +
    (minutes ?? 0) * 60_000 +
    (seconds ?? 0) * 1_000
  );
}

/**
 * The shortest exact form: `formatDuration(90_000)` is `"90s"`, `formatDuration(3_600_000)` is `"1h"`.
 * @param least how many of a unit above the second there must be: with 2 it is `"60m"`
 */
export function formatDuration(ms: number, least = 1): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = UNIT_MS[unit] ?? 1;
    const enough = unit === 's' ? size : size * least;
    if (ms >= enough && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${Math.round(ms)}ms`;
}

const DAY_AND_HOUR = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d)/;
const HOURS = 24;

/**
 * Whether a text that begins like RFC 3339 names a day that is in the calendar and an hour before 24. `Date` takes
 * 30 February for 2 March, and 24:00 for the next day.
 */
export function isInCalendar(text: string): boolean {
  const [, year, month, day, hour] = (DAY_AND_HOUR.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return false;
  return day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate() && Number(hour) < HOURS;
}

/** RFC 3339 in UTC with milliseconds; null stays null. */
export function toRfc3339(at: EpochMs | Date | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
