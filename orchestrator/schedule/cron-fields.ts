/**
 * Cron expressions read into sets of numbers: five fields, or six with seconds first; names of months and weekdays,
 * lists, ranges, steps; `L` (last day, or last weekday of its kind), `W` (the working day nearest to a date) and `#`
 * (the second Friday). Where both a day of the month and a weekday are named either will do, as everywhere in cron;
 * a `+` before the weekdays asks for both.
 *
 * Read here and not by a library, so that faults name the field, and that thousands of expressions cost milliseconds.
 */

/** What an expression holds. Numbers are in ascending order; months 1–12, weekdays 0 (Sunday) – 6. */
export interface CronFields {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly months: ReadonlySet<number>;
  readonly days: DayOfMonth;
  readonly weekdays: Weekdays;
  /** Whether both kinds of day must fit; else either will do, where both are named. */
  readonly bothDays: boolean;
  /** Whether it holds each hour of the day. */
  readonly everyHour: boolean;
}

interface DayOfMonth {
  readonly any: boolean;
  readonly plain: ReadonlySet<number>;
  readonly last: boolean;
  readonly lastWorkingDay: boolean;
  /** Dates whose nearest working day is meant. */
  readonly nearest: readonly number[];
}

interface Weekdays {
  readonly any: boolean;
  readonly plain: ReadonlySet<number>;
  /** The n-th of the month; 0 for the last. */
  readonly nth: readonly { readonly weekday: number; readonly n: number }[];
}

const PRESETS: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@quarterly': '0 0 1 1,4,7,10 *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};
const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const WEEKDAYS = 'sun mon tue wed thu fri sat'.split(' ');
const MAX_LENGTH = 500;

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Words for the numbers from `least` on. */
  readonly words?: readonly string[];
}

const SECOND: Field = { name: 'second', least: 0, most: 59 };
const MINUTE: Field = { name: 'minute', least: 0, most: 59 };
const HOUR: Field = { name: 'hour', least: 0, most: 23 };
const DAY: Field = { name: 'day of the month', least: 1, most: 31 };
const MONTH: Field = { name: 'month', least: 1, most: 12, words: MONTHS };
const WEEKDAY: Field = { name: 'day of the week', least: 0, most: 7, words: WEEKDAYS };

/**
 * Reads an expression or a preset.
 * @throws RangeError that names the field that is wrong, and what it may hold
 */
export function readCronFields(text: string): CronFields {
  if (text.length > MAX_LENGTH) throw new RangeError(`it has more than ${MAX_LENGTH} characters`);
  const trimmed = text.trim().toLowerCase();
  const preset = PRESETS[trimmed];
  if (trimmed.startsWith('@') && preset === undefined) {
    throw new RangeError(`presets are ${Object.keys(PRESETS).join(', ')}`);
  }
  const parts = (preset ?? trimmed).split(/\s+/);
  if (parts.length < 5 || parts.length > 6 || parts[0] === '') {
    const count = trimmed === '' ? 0 : parts.length;
    throw new RangeError(
      `it has ${count} field${count === 1 ? '' : 's'} instead of 5 (minute, hour, day of the month, month, day of the week) or 6 (second first)`,
    );
  }
  const [second = '', minute = '', hour = '', day = '', month = '', weekday = ''] =
    parts.length === 6 ? parts : ['0', ...parts];
  const hours = ascending(readField(HOUR, hour));
  return {
    seconds: ascending(readField(SECOND, second)),
    minutes: ascending(readField(MINUTE, minute)),
    hours,
    months: readField(MONTH, month),
    days: readDays(day),
    weekdays: readWeekdays(weekday.startsWith('+') ? weekday.slice(1) : weekday),
    bothDays: weekday.startsWith('+'),
    everyHour: hours.length === 24,
  };
}

function ascending(numbers: ReadonlySet<number>): readonly number[] {
  return [...numbers].sort((a, b) => a - b);
}

function wrong(field: Field, text: string, why: string): RangeError {
  return new RangeError(`its ${field.name}, ${JSON.stringify(text)}, ${why}`);
}

function readField(field: Field, text: string): Set<number> {
  const numbers = new Set<number>();
  for (const item of text.split(',')) {
    for (const number of readItem(field, text, item)) numbers.add(number);
  }
  return numbers;
}

/** `*`, `7`, `mon`, `1-5`, and either with a step. */
function readItem(field: Field, text: string, item: string): readonly number[] {
  const [range = '', stepText, ...more] = item.split('/');
  if (more.length > 0 || item === '') throw wrong(field, text, 'cannot be read');
  const [first, last] = readRange(field, text, range);
  if (stepText === undefined) return span(first, last, 1);
  const step = Number(stepText);
  if (!/^\d+$/.test(stepText) || step < 1 || step > field.most) {
    throw wrong(field, text, `has a step that is not from 1 to ${field.most}`);
  }
  if (!range.includes('-') && range !== '*') {
    throw wrong(field, text, `has a step after one number; write "${range}-${field.most}/${step}"`);
  }
  return span(first, last, step);
}

function readRange(field: Field, text: string, range: string): readonly [number, number] {
  if (range === '*' || (range === '?' && (field === DAY || field === WEEKDAY))) {
    return [field.least, field === WEEKDAY ? 6 : field.most];
  }
  const ends = range.split('-').map((end) => readNumber(field, text, end));
  const [first, last = first] = ends;
  if (first === undefined || last === undefined || ends.length > 2) {
    throw wrong(field, text, 'cannot be read');
  }
  if (first > last) throw wrong(field, text, 'has a range that ends before it begins');
  return [first, last];
}

function readNumber(field: Field, text: string, digits: string): number {
  const word = field.words?.indexOf(digits.slice(0, 3)) ?? -1;
  if (word >= 0 && /^[a-z]+$/.test(digits) && digits.length === 3) return word + field.least;
  const number = Number(digits);
  if (!/^\d+$/.test(digits) || number < field.least || number > field.most) {
    const words = field.words ? ` or ${field.words[0]}–${field.words.at(-1)}` : '';
    throw wrong(field, text, `is not made of ${field.least}–${field.most}${words}`);
  }
  return number;
}

function span(first: number, last: number, step: number): number[] {
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
}

function readDays(text: string): DayOfMonth {
  const plain = new Set<number>();
  const nearest: number[] = [];
  let last = false;
  let lastWorkingDay = false;
  for (const item of text.split(',')) {
    if (item === 'l') last = true;
    else if (item === 'lw') lastWorkingDay = true;
    else if (/^\d+w$/.test(item)) nearest.push(readNumber(DAY, text, item.slice(0, -1)));
    else for (const day of readItem(DAY, text, item)) plain.add(day);
  }
  return { any: isAny(text), plain, last, lastWorkingDay, nearest };
}

const LAST = 0;

function readWeekdays(text: string): Weekdays {
  const plain = new Set<number>();
  const nth: { weekday: number; n: number }[] = [];
  for (const item of text.split(',')) {
    const special = /^([a-z]{3}|\d)(?:#([1-5]|l)|l)$/.exec(item);
    if (special) {
      const weekday = readNumber(WEEKDAY, text, special[1] ?? '') % 7;
      const n = special[2] === undefined || special[2] === 'l' ? LAST : Number(special[2]);
      nth.push({ weekday, n });
    } else {
      for (const weekday of readItem(WEEKDAY, text, item)) plain.add(weekday % 7);
    }
  }
  return { any: isAny(text), plain, nth };
}

function isAny(text: string): boolean {
  return text === '*' || text === '?';
}
