/**
 * Local dates of a timezone and the instants at which they begin. A day is counted by a number (days since
 * 1970-01-01), so that walking over years of partitions is arithmetic; only the instants ask for the timezone's
 * rules. Where midnight does not exist the day begins at the first instant that bears its date, where it comes
 * twice at the first of the two: as the schedule's cron instants do.
 */
import type { EpochMs } from '../../../domain/time.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Offsets lie between −12 and +14 hours. */
const MAX_OFFSET_MS = 15 * 3_600_000;
const MAX_KEPT = 20_000;

const formatters = new Map<string, Intl.DateTimeFormat>();
const starts = new Map<string, EpochMs>();

/** Days since 1970-01-01 of the local date at an instant. */
export function dayAt(timezone: string, at: EpochMs): number {
  return Math.floor((at + offsetAt(timezone, at)) / DAY_MS);
}

/** First instant of a local date. */
export function startOfDay(timezone: string, day: number): EpochMs {
  if (timezone === 'UTC') return day * DAY_MS;
  const key = `${timezone}\n${day}`;
  const known = starts.get(key);
  if (known !== undefined) return known;
  if (starts.size >= MAX_KEPT) starts.clear();
  const found = findStart(timezone, day);
  starts.set(key, found);
  return found;
}

function findStart(timezone: string, day: number): EpochMs {
  const midnight = day * DAY_MS;
  for (const around of [midnight - DAY_MS, midnight, midnight + DAY_MS]) {
    const at = midnight - offsetAt(timezone, around);
    if (dayAt(timezone, at) === day && dayAt(timezone, at - 1) < day) return at;
  }
  let before = midnight - MAX_OFFSET_MS;
  let after = midnight + MAX_OFFSET_MS;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (dayAt(timezone, middle) >= day) after = middle;
    else before = middle;
  }
  return after;
}

/** Milliseconds that local clocks are ahead of UTC at an instant. */
function offsetAt(timezone: string, at: EpochMs): number {
  if (timezone === 'UTC') return 0;
  const whole = Math.floor(at / 1_000) * 1_000;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatterOf(timezone).formatToParts(whole)) {
    parts[type] = Number(value);
  }
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
}

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const known = formatters.get(timezone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formatters.set(timezone, made);
  return made;
}

/** `2024-01-31` */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;

/** The number of a date; null where the text is none. */
export function readDay(text: string): number | null {
  const [, year, month, date] = DATE.exec(text) ?? [];
  if (year === undefined) return null;
  const day = Date.UTC(Number(year), Number(month) - 1, Number(date)) / DAY_MS;
  return dayText(day) === text ? day : null;
}

/** Months since January of the year 0. */
export function monthOf(day: number): number {
  const date = new Date(day * DAY_MS);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** Number of the first day of a month. */
export function firstDayOf(month: number): number {
  return Date.UTC(Math.floor(month / 12), month % 12, 1) / DAY_MS;
}

/** Local time with its offset, to the minute: `2024-10-27T02:00+02:00`; `Z` in UTC. */
export function momentText(timezone: string, at: EpochMs): string {
  const offset = offsetAt(timezone, at);
  const seconds = at % MINUTE_MS === 0 ? 16 : 19;
  const local = new Date(at + offset).toISOString().slice(0, seconds);
  if (timezone === 'UTC') return `${local}Z`;
  const minutes = Math.abs(offset) / MINUTE_MS;
  const part = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${local}${offset < 0 ? '-' : '+'}${part(minutes / 60)}:${part(minutes % 60)}`;
}

/** Day of the week, 0 for Sunday. */
export function weekdayOf(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}
