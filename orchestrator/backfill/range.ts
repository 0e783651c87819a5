/**
 * The range of a backfill as people write it. A date or a local time is read in the timezone of the workflow; the
 * end of a range that is a date includes that day, since who writes 1 to 31 January means 31 days.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { EpochMs } from '../../domain/time.ts';
import { instantOfLocal, zoneOf } from '../schedule/zone.ts';

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const LOCAL = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?$/;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2200, 0, 1);
const DAY = 1;

/** `[from, to)` as instants. */
export interface Range {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

/** @throws SignalboxError `invalid-time`, `invalid-request` where the range is empty */
export function readRange(from: string, to: string, timezone: string): Range {
  assertTimezone(timezone);
  const range = {
    from: readMoment(from, timezone, '/from', 0),
    to: readMoment(to, timezone, '/to', DAY),
  };
  if (range.from < range.to) return range;
  throw new SignalboxError('invalid-request', `the range ends (${to}) before it begins (${from})`, [
    { path: '/to', message: 'must be after from' },
  ]);
}

/** @param dayOffset days that are added to a date without a time */
function readMoment(text: string, timezone: string, path: string, dayOffset: number): EpochMs {
  const at = parseMoment(text, timezone, dayOffset);
  if (at !== null && at >= EARLIEST && at < LATEST) return at;
  const message = `is a date (2026-01-31), a local time (2026-01-31T06:00) or RFC 3339, not ${JSON.stringify(text.slice(0, 40))}`;
  throw new SignalboxError('invalid-time', `${path} ${message}`, [{ path, message }]);
}

function parseMoment(text: string, timezone: string, dayOffset: number): EpochMs | null {
  if (RFC_3339.test(text)) {
    const at = Date.parse(text);
    return Number.isNaN(at) ? null : at;
  }
  const date = DATE.exec(text);
  const parts = date ?? LOCAL.exec(text);
  if (!parts) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  const wall = Date.UTC(year, month - 1, day, hour, minute, second);
  const isReal = new Date(wall).toISOString().startsWith(text.slice(0, 10));
  if (!isReal || hour > 23 || minute > 59 || second > 59) return null;
  const offset = date ? dayOffset : 0;
  return instantOfLocal(
    zoneOf(timezone),
    Date.UTC(year, month - 1, day + offset, hour, minute, second),
  );
}

function assertTimezone(timezone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    const message = `"${timezone}" is not a timezone of the IANA database, such as "Europe/Berlin"`;
    throw new SignalboxError('invalid-request', message, [{ path: '/timezone', message }]);
  }
}
