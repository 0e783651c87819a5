/**
 * Walks through the local times of a cron expression, forward and back, on a calendar without clock changes. Local
 * times are written as the milliseconds at which a clock in UTC shows them.
 */
import type { CronFields } from './cron-fields.ts';

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const DAY_SECONDS = 86_400;
/** A date that does not come within so many months (February 29 on a Monday: 28 years, or 40) never comes. */
const MAX_MONTHS = 42 * 12;

/** First local time at or after `from`; null where none comes. */
export function localAtOrAfter(fields: CronFields, from: number): number | null {
  const second = Math.ceil(from / SECOND_MS);
  const day = Math.floor(second / DAY_SECONDS);
  if (dayFits(fields, day)) {
    const time = timeAtOrAfter(fields, second - day * DAY_SECONDS);
    if (time !== null) return (day * DAY_SECONDS + time) * SECOND_MS;
  }
  const next = seekDay(fields, day, 1);
  return next === null ? null : (next * DAY_SECONDS + firstTime(fields)) * SECOND_MS;
}

/** Last local time at or before `from`; null where there is none. */
export function localAtOrBefore(fields: CronFields, from: number): number | null {
  const second = Math.floor(from / SECOND_MS);
  const day = Math.floor(second / DAY_SECONDS);
  if (dayFits(fields, day)) {
    const time = timeAtOrBefore(fields, second - day * DAY_SECONDS);
    if (time !== null) return (day * DAY_SECONDS + time) * SECOND_MS;
  }
  const next = seekDay(fields, day, -1);
  return next === null ? null : (next * DAY_SECONDS + lastTime(fields)) * SECOND_MS;
}

/** The nearest day beyond `day` that fits; days are counted since 1970. */
function seekDay(fields: CronFields, day: number, step: 1 | -1): number | null {
  let at = day + step;
  for (let months = 0; months < MAX_MONTHS; months += 1) {
    const date = new Date(at * DAY_MS);
    const year = date.getUTCFullYear();
    const month = date.getUTCMonth();
    const first = Date.UTC(year, month, 1) / DAY_MS;
    const beyond = step > 0 ? Date.UTC(year, month + 1, 1) / DAY_MS : first - 1;
    if (fields.months.has(month + 1)) {
      const length = Date.UTC(year, month + 1, 1) / DAY_MS - first;
      for (; at !== beyond; at += step) {
        if (fits(fields, at - first + 1, length, weekdayOf(at), first)) return at;
      }
    }
    at = beyond;
  }
  return null;
}

function dayFits(fields: CronFields, day: number): boolean {
  const date = new Date(day * DAY_MS);
  const month = date.getUTCMonth();
  if (!fields.months.has(month + 1)) return false;
  const year = date.getUTCFullYear();
  const first = Date.UTC(year, month, 1) / DAY_MS;
  const length = Date.UTC(year, month + 1, 1) / DAY_MS - first;
  return fits(fields, day - first + 1, length, weekdayOf(day), first);
}

/** 1970-01-01 was a Thursday. */
function weekdayOf(day: number): number {
  return (((day + 4) % 7) + 7) % 7;
}

/** @param first day since 1970 on which the month begins */
function fits(
  { days, weekdays, bothDays }: CronFields,
  date: number,
  length: number,
  weekday: number,
  first: number,
): boolean {
  if (days.any && weekdays.any) return true;
  const byDate = days.any || dateFits(days, date, length, first);
  const byWeekday = weekdays.any || weekdayFits(weekdays, date, length, weekday);
  if (days.any || weekdays.any || bothDays) return byDate && byWeekday;
  return byDate || byWeekday;
}

function dateFits(days: CronFields['days'], date: number, length: number, first: number): boolean {
  if (days.plain.has(date) || (days.last && date === length)) return true;
  if (days.lastWorkingDay && date === nearestWorkingDay(length, length, first)) return true;
  return days.nearest.some(
    (near) => near <= length && date === nearestWorkingDay(near, length, first),
  );
}

/** The working day nearest to a date, within its month. */
function nearestWorkingDay(date: number, length: number, first: number): number {
  const weekday = weekdayOf(first + date - 1);
  if (weekday === 6) return date > 1 ? date - 1 : date + 2;
  if (weekday === 0) return date < length ? date + 1 : date - 2;
  return date;
}

function weekdayFits(
  weekdays: CronFields['weekdays'],
  date: number,
  length: number,
  weekday: number,
): boolean {
  if (weekdays.plain.has(weekday)) return true;
  return weekdays.nth.some(
    (of) =>
      of.weekday === weekday && (of.n === 0 ? date + 7 > length : Math.ceil(date / 7) === of.n),
  );
}

/** First time of day, in seconds, at or after one; null where the rest of the day has none. */
function timeAtOrAfter({ hours, minutes, seconds }: CronFields, from: number): number | null {
  const hourNow = Math.floor(from / 3_600);
  const minuteNow = Math.floor(from / 60) % 60;
  const secondNow = from % 60;
  for (const hour of hours) {
    if (hour < hourNow) continue;
    if (hour > hourNow) return hour * 3_600 + (minutes[0] ?? 0) * 60 + (seconds[0] ?? 0);
    for (const minute of minutes) {
      if (minute < minuteNow) continue;
      if (minute > minuteNow) return hour * 3_600 + minute * 60 + (seconds[0] ?? 0);
      const second = seconds.find((one) => one >= secondNow);
      if (second !== undefined) return hour * 3_600 + minute * 60 + second;
    }
  }
  return null;
}

function timeAtOrBefore({ hours, minutes, seconds }: CronFields, from: number): number | null {
  const hourNow = Math.floor(from / 3_600);
  const minuteNow = Math.floor(from / 60) % 60;
  const secondNow = from % 60;
  for (const hour of hours.toReversed()) {
    if (hour > hourNow) continue;
    if (hour < hourNow) return hour * 3_600 + (minutes.at(-1) ?? 0) * 60 + (seconds.at(-1) ?? 0);
    for (const minute of minutes.toReversed()) {
      if (minute > minuteNow) continue;
      if (minute < minuteNow) return hour * 3_600 + minute * 60 + (seconds.at(-1) ?? 0);
      const second = seconds.findLast((one) => one <= secondNow);
      if (second !== undefined) return hour * 3_600 + minute * 60 + second;
    }
  }
  return null;
}

function firstTime({ hours, minutes, seconds }: CronFields): number {
  return (hours[0] ?? 0) * 3_600 + (minutes[0] ?? 0) * 60 + (seconds[0] ?? 0);
}

function lastTime({ hours, minutes, seconds }: CronFields): number {
  return (hours.at(-1) ?? 0) * 3_600 + (minutes.at(-1) ?? 0) * 60 + (seconds.at(-1) ?? 0);
}
