/**
 * Partitions of time in their order, by number. Counting, naming and finding one costs arithmetic, whether there
 * are ten of them or a hundred thousand; those of a cron expression are the schedule's own instants, enumerated
 * once and kept.
 */
import type { TimePartitions } from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import { type Interval, nextInstant } from '../../schedule/cron.ts';
import {
  dayAt,
  dayText,
  firstDayOf,
  momentText,
  monthOf,
  readDay,
  startOfDay,
  weekdayOf,
} from './calendar.ts';

export interface TimeLine {
  /** Number of the partition that an instant is in; below 0 before the first one. */
  indexAt(at: EpochMs): number;
  /** Number of a key; null where there is none of it. Says nothing of whether its time has come. */
  indexOf(key: string): number | null;
  keyAt(index: number): string;
  interval(index: number): Interval;
  /** How many there will ever be; infinite without an end. */
  readonly size: number;
  /** How many should be there: complete ones (and `endOffset` more). */
  expectedAt(now: EpochMs): number;
  /** How many have begun. */
  begunAt(now: EpochMs): number;
}

/** Partitions of one cron expression that are enumerated. */
const MAX_CRON_PARTITIONS = 200_000;
const HOUR_MS = 3_600_000;
const MAX_LINES = 5_000;
const lines = new Map<string, TimeLine>();

/** The partitions of a definition; kept, since thousands of assets share a few. */
export function timeLine(of: TimePartitions): TimeLine {
  const key = JSON.stringify([
    of.every,
    of.cron,
    of.timezone,
    of.start,
    of.end,
    of.weekStart,
    of.endOffset,
  ]);
  const known = lines.get(key);
  if (known) return known;
  if (lines.size >= MAX_LINES) lines.clear();
  const made = bounded(of, unbounded(of));
  lines.set(key, made);
  return made;
}

/** The instant that a date or a moment names. */
export function instantOf(text: string, timezone: string): EpochMs {
  const day = readDay(text);
  return day === null ? Date.parse(text) : startOfDay(timezone, day);
}

type Unbounded = Pick<TimeLine, 'indexAt' | 'indexOf' | 'keyAt' | 'interval'>;

function unbounded(of: TimePartitions): Unbounded {
  if (of.every === 'cron') return cronLine(of.cron ?? '', of.timezone, startOf(of));
  if (of.every === 'hour') return hours(of);
  if (of.every === 'month') return months(of);
  return days(of, of.every === 'week' ? 7 : 1);
}

function startOf(of: TimePartitions): EpochMs {
  return instantOf(of.start, of.timezone);
}

function days({ timezone, start, weekStart = 0 }: TimePartitions, step: 1 | 7): Unbounded {
  const from = instantOf(start, timezone);
  const first = dayAt(timezone, from);
  const whole = startOfDay(timezone, first) < from ? first + 1 : first;
  const base = step === 1 ? whole : whole + ((weekStart - weekdayOf(whole) + 7) % 7);
  return {
    indexAt: (at) => Math.floor((dayAt(timezone, at) - base) / step),
    indexOf(key) {
      const day = readDay(key);
      return day === null || (day - base) % step !== 0 ? null : (day - base) / step;
    },
    keyAt: (index) => dayText(base + index * step),
    interval: (index) => ({
      start: startOfDay(timezone, base + index * step),
      end: startOfDay(timezone, base + (index + 1) * step),
    }),
  };
}

function months({ timezone, start }: TimePartitions): Unbounded {
  const from = instantOf(start, timezone);
  const first = monthOf(dayAt(timezone, from));
  const base = startOfDay(timezone, firstDayOf(first)) < from ? first + 1 : first;
  return {
    indexAt: (at) => monthOf(dayAt(timezone, at)) - base,
    indexOf(key) {
      const day = readDay(key.length === 7 ? `${key}-01` : key);
      return day === null || firstDayOf(monthOf(day)) !== day ? null : monthOf(day) - base;
    },
    keyAt: (index) => dayText(firstDayOf(base + index)).slice(0, 7),
    interval: (index) => ({
      start: startOfDay(timezone, firstDayOf(base + index)),
      end: startOfDay(timezone, firstDayOf(base + index + 1)),
    }),
  };
}

/** Hours are hours, whatever clocks do; the one that comes twice is told by its offset. */
function hours({ timezone, start }: TimePartitions): Unbounded {
  const base = nextHour(timezone, instantOf(start, timezone));
  return {
    indexAt: (at) => Math.floor((at - base) / HOUR_MS),
    indexOf(key) {
      const index = (Date.parse(key) - base) / HOUR_MS;
      return Number.isInteger(index) && momentText(timezone, base + index * HOUR_MS) === key
        ? index
        : null;
    },
    keyAt: (index) => momentText(timezone, base + index * HOUR_MS),
    interval: (index) => ({ start: base + index * HOUR_MS, end: base + (index + 1) * HOUR_MS }),
  };
}

const QUARTER_MS = 900_000;

/** The first full local hour at or after an instant. */
function nextHour(timezone: string, at: EpochMs): EpochMs {
  let from = Math.ceil(at / QUARTER_MS) * QUARTER_MS;
  while (!/T\d\d:00/.test(momentText(timezone, from))) from += QUARTER_MS;
  return from;
}

function cronLine(cron: string, timezone: string, from: EpochMs): Unbounded {
  const schedule = { cron, timezone };
  const instants: EpochMs[] = [];
  let ended = false;
  const grow = () => {
    const last = instants.at(-1) ?? from - 1;
    const next = instants.length > MAX_CRON_PARTITIONS ? null : nextInstant(schedule, last);
    if (next === null) ended = true;
    else instants.push(next);
  };
  const upTo = (at: EpochMs) => {
    while (!ended && (instants.at(-1) ?? from - 1) <= at) grow();
  };
  const upToIndex = (index: number) => {
    while (!ended && instants.length <= index) grow();
  };
  const at = (index: number) => {
    upToIndex(index);
    return instants[index] ?? Number.POSITIVE_INFINITY;
  };
  const indexAt = (moment: EpochMs) => {
    upTo(moment);
    let low = 0;
    let high = instants.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((instants[middle] ?? 0) <= moment) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const onceADay = /^\s*\d+\s+\d+\s/.test(cron) && cron.trim().split(/\s+/).length === 5;
  const keyOf = (moment: EpochMs) =>
    onceADay ? dayText(dayAt(timezone, moment)) : momentText(timezone, moment);
  return {
    indexAt,
    indexOf(key) {
      const day = readDay(key);
      const moment = day === null ? Date.parse(key) : startOfDay(timezone, day + 1) - 1;
      if (Number.isNaN(moment)) return null;
      const index = indexAt(moment);
      return index >= 0 && keyOf(at(index)) === key ? index : null;
    },
    keyAt: (index) => keyOf(at(index)),
    interval: (index) => ({ start: at(Math.max(0, index)), end: at(Math.max(0, index) + 1) }),
  };
}

function bounded(of: TimePartitions, line: Unbounded): TimeLine {
  // The last one ends at or before the end: as many as have ended there.
  const size =
    of.end === null
      ? Number.POSITIVE_INFINITY
      : Math.max(0, line.indexAt(instantOf(of.end, of.timezone)));
  const among = (count: number) => Math.max(0, Math.min(size, count));
  return {
    ...line,
    size,
    indexOf(key) {
      const index = line.indexOf(key);
      return index === null || index < 0 || index >= size ? null : index;
    },
    expectedAt: (now) => among(line.indexAt(now) + (of.endOffset ?? 0)),
    begunAt: (now) => among(line.indexAt(now) + 1 + Math.max(0, (of.endOffset ?? 0) - 1)),
  };
}
