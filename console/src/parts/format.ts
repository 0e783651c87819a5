/** Times, durations and numbers as the console writes them. All times are UTC. */
import { readMetadataEntry } from '../../../domain/asset.ts';
import { formatDuration } from '../../../domain/time.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const two = (value: number) => String(Math.floor(value)).padStart(2, '0');

/** A duration to read: `420 ms`, `12.3 s`, `4 min 05 s`, `3 h 12 min`, `2 d 4 h`. */
export function formatSpan(ms: number): string {
  const abs = Math.max(0, ms);
  if (abs < SECOND) return `${Math.round(abs)} ms`;
  if (abs < 10 * SECOND) return `${(abs / SECOND).toFixed(1)} s`;
  if (abs < MINUTE) return `${Math.floor(abs / SECOND)} s`;
  if (abs < HOUR) return `${Math.floor(abs / MINUTE)} min ${two((abs % MINUTE) / SECOND)} s`;
  if (abs < DAY) return `${Math.floor(abs / HOUR)} h ${two((abs % HOUR) / MINUTE)} min`;
  return `${Math.floor(abs / DAY)} d ${Math.floor((abs % DAY) / HOUR)} h`;
}

/** How long ago, in one unit: `now`, `12 s`, `4 min`, `3 h`, `2 d`. */
export function formatAge(ms: number): string {
  if (ms < SECOND) return 'now';
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** A stopwatch: `00:41`, `12:07`, `3:12:07`. */
export function formatStopwatch(ms: number): string {
  const abs = Math.max(0, ms);
  const minutes = two((abs % HOUR) / MINUTE);
  const seconds = two((abs % MINUTE) / SECOND);
  return abs < HOUR ? `${minutes}:${seconds}` : `${Math.floor(abs / HOUR)}:${minutes}:${seconds}`;
}

/** `03:14:07`; with the date before it when it is not the day of `nowMs`. */
export function formatTime(at: string | number | null, nowMs: number): string {
  if (at === null) return '–';
  const iso = new Date(at).toISOString();
  const today = new Date(nowMs).toISOString().slice(0, 10);
  const time = iso.slice(11, 19);
  return iso.startsWith(today) ? time : `${iso.slice(5, 10)} ${time}`;
}

/** `2026-11-24 03:14:07.120 UTC`, for titles and exact places. */
export function formatExact(at: string | number): string {
  return `${new Date(at).toISOString().replace('T', ' ').slice(0, 23)} UTC`;
}

/** A date to the minute, for logical dates and ranges: `2026-11-24 03:14`. */
export function formatMinute(at: string | null): string {
  return at === null ? '–' : new Date(at).toISOString().replace('T', ' ').slice(0, 16);
}

/** How long what is over took; nothing while it is not. */
export function formatTook(startedAt: string | null, finishedAt: string | null): string {
  return startedAt && finishedAt ? formatSpan(Date.parse(finishedAt) - Date.parse(startedAt)) : '';
}

/** `1 asset`, `61 assets`. */
export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}

/** Thousands apart by a thin space; at most three decimals. */
export function formatNumber(value: number): string {
  const rounded = Number.isInteger(value) ? String(value) : String(Number(value.toFixed(3)));
  const [whole = '', fraction] = rounded.split('.');
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f');
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

/** An id short enough for a table; the whole of it where it is short. */
export function shortId(id: string): string {
  return id.length <= 13 ? id : `${id.slice(0, 4)}…${id.slice(-6)}`;
}

/**
 * Settings for a person, one a value: `failAfterMs` 3600000 is `failAfter` `1h`; what is nested stands under
 * its path, and what is not set is left out.
 */
export function formatSettings(
  settings: Readonly<Record<string, unknown>>,
  path = '',
): { name: string; value: string }[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    const name = path + key;
    if (value === null || value === undefined) return [];
    if (typeof value === 'number' && /[a-z]Ms$/.test(name)) {
      return [{ name: name.slice(0, -2), value: formatDuration(value) }];
    }
    if (typeof value === 'object' && !Array.isArray(value)) {
      return formatSettings(value as Record<string, unknown>, `${name}.`);
    }
    return [{ name, value: formatValue(value) }];
  });
}

const EPOCH_MS_FROM = 946_684_800_000;
const EPOCH_MS_TO = 7_258_118_400_000;

/** A value of a query's row: moments in Unix milliseconds (by the column's name) as times. */
export function formatCell(column: string, value: unknown): string {
  const number = typeof value === 'string' && /^\d{13}$/.test(value) ? Number(value) : value;
  const isMoment =
    typeof number === 'number' &&
    /(^|_)(ms|at)$|[a-z](Ms|At)$/.test(column) &&
    number > EPOCH_MS_FROM &&
    number < EPOCH_MS_TO;
  return isMoment ? formatExact(number) : formatValue(value);
}

/** A value on one line: texts bare, everything else as JSON. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'string') return value;
  return JSON.stringify(value);
}

/** A fact of a version on one line, by the type that it has: a table by its size, columns by their names. */
export function formatFact(name: string, value: unknown): string {
  const entry = readMetadataEntry(value);
  const rows = Array.isArray(entry.value) ? (entry.value as readonly { name?: unknown }[]) : null;
  if (name === 'schema' && rows) return rows.map((column) => String(column.name)).join(', ');
  if (entry.type === 'table' && rows) return `table of ${formatCount(rows.length, 'row')}`;
  if (entry.type === 'timestamp') return formatExact(String(entry.value));
  if (entry.type === 'number') return formatNumber(Number(entry.value));
  return formatValue(entry.value);
}
