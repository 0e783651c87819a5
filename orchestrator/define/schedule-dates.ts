/** Dates and times of schedules: with an offset they are instants, without one they are on the clocks of the timezone. */
import { instantOfLocal, zoneOf } from '../schedule/zone.ts';
import { DefinitionError } from './options.ts';

const DAY_MS = 86_400_000;
const FORM = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)([Zz]|[+-]\d\d:\d\d)?)?$/;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2200, 0, 1);

/**
 * Reads a moment as RFC 3339 in UTC.
 * @param side whether a date alone means the begin of its day, or the last millisecond of it
 * @throws DefinitionError that says which forms are valid
 */
export function readMoment(value: unknown, timezone: string, side: 'begin' | 'end'): string {
  const at = value instanceof Date ? value.getTime() : readText(value, timezone, side);
  if (at >= EARLIEST && at < LATEST) return new Date(at).toISOString();
  throw new DefinitionError(
    `${JSON.stringify(value)} is not a date such as "2026-01-01", or a time such as "2026-01-01T06:00" or "2026-01-01T06:00:00Z"`,
  );
}

function readText(value: unknown, timezone: string, side: 'begin' | 'end'): number {
  const [, date = '', time, offset] = FORM.exec(typeof value === 'string' ? value : '') ?? [];
  if (offset !== undefined) return Date.parse(`${date}T${time}${offset.toUpperCase()}`);
  const local = Date.parse(`${date}T${time ?? '00:00'}Z`);
  // A day that no month has is read as one of the next month.
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 10) !== date) return Number.NaN;
  if (time !== undefined || side === 'begin') return instantOfLocal(zoneOf(timezone), local);
  return instantOfLocal(zoneOf(timezone), local + DAY_MS) - 1;
}
