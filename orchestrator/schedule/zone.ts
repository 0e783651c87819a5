/**
 * Offsets of a timezone over time. The platform tells the offset of one instant, at a cost of microseconds; here the
 * instants at which it changes are found once, and kept, so that thousands of schedules look them up in memory.
 *
 * Time is cut into segments of one offset. A local time is written as the milliseconds at which a clock in UTC
 * shows it.
 */
import type { EpochMs } from '../../domain/time.ts';

const DAY_MS = 86_400_000;
/** Known time reaches so far beyond what is asked about. */
const MARGIN_MS = 370 * DAY_MS;
/** Of what lies so near to the end of known time, the next change may be unknown. */
const EDGE_MS = 2 * DAY_MS;
const MAX_ZONES = 1_000;

/** A stretch of time with one offset. At either end it may be cut where nothing changes. */
export interface Segment {
  readonly start: EpochMs;
  /** Exclusive. */
  readonly end: EpochMs;
  readonly offsetMs: number;
  /** Offset before `start`, and from `end` on. */
  readonly offsetBeforeMs: number;
  readonly offsetAfterMs: number;
}

export interface Zone {
  segmentAt(at: EpochMs): Segment;
}

interface Transition {
  readonly at: EpochMs;
  readonly before: number;
  readonly after: number;
}

const zones = new Map<string, Zone>();

/**
 * The zone of an IANA name.
 * @throws RangeError where there is none
 */
export function zoneOf(name: string): Zone {
  const known = zones.get(name);
  if (known) return known;
  const zone = createZone(name);
  if (zones.size >= MAX_ZONES) zones.clear();
  zones.set(name, zone);
  return zone;
}

/** Reads the offset of one instant from the platform's database of timezones. */
function offsetReader(name: string): (at: EpochMs) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: name, hourCycle: 'h23', era: 'short' },
    ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  return (at) => {
    const wholeSecond = Math.floor(at / 1_000) * 1_000;
    const [month = 1, day = 1, year = 0, hour = 0, minute = 0, second = 0] = (
      format.format(wholeSecond).match(/\d+/g) ?? []
    ).map(Number);
    return Date.UTC(year, month - 1, day, hour, minute, second) - wholeSecond;
  };
}

function createZone(name: string): Zone {
  const offsetAt = offsetReader(name);
  let transitions: Transition[] = [];
  let from = Number.NaN;
  let to = Number.NaN;

  /** The changes of the offset in (start, end], sought a day at a time. */
  function find(start: EpochMs, end: EpochMs): Transition[] {
    const found: Transition[] = [];
    let before = offsetAt(start);
    for (let at = start; at < end; at += DAY_MS) {
      const after = offsetAt(at + DAY_MS);
      if (after === before) continue;
      found.push({ at: change(at, at + DAY_MS, before), before, after });
      before = after;
    }
    return found;
  }

  /** First instant (to the second) at which the offset is no longer `before`. */
  function change(start: EpochMs, end: EpochMs, before: number): EpochMs {
    let low = start;
    let high = end;
    while (high - low > 1_000) {
      const middle = Math.floor((low + high) / 2_000) * 1_000;
      if (offsetAt(middle) === before) low = middle;
      else high = middle;
    }
    return high;
  }

  function cover(at: EpochMs): void {
    if (Number.isNaN(from)) {
      from = to = Math.floor(at / DAY_MS) * DAY_MS;
    }
    const least = Math.floor((at - MARGIN_MS) / DAY_MS) * DAY_MS;
    const most = Math.ceil((at + MARGIN_MS) / DAY_MS) * DAY_MS;
    if (least < from) {
      transitions = [...find(least, from), ...transitions];
      from = least;
    }
    if (most > to) {
      transitions = [...transitions, ...find(to, most)];
      to = most;
    }
  }

  return {
    segmentAt(at) {
      if (!(at - from >= EDGE_MS * 2 && to - at >= EDGE_MS * 2)) cover(at);
      const index = transitions.findIndex((transition) => transition.at > at);
      const last = transitions[(index < 0 ? transitions.length : index) - 1];
      const next = index < 0 ? undefined : transitions[index];
      const offsetMs = last?.after ?? next?.before ?? offsetAt(at);
      return {
        start: last?.at ?? from + EDGE_MS,
        end: next?.at ?? to - EDGE_MS,
        offsetMs,
        offsetBeforeMs: last?.before ?? offsetMs,
        offsetAfterMs: next?.after ?? offsetMs,
      };
    },
  };
}

/** The instant at which the clocks of a zone show a local time; where they never do, as much later as they jump. */
export function instantOfLocal(zone: Zone, localMs: number): EpochMs {
  const guess = localMs - zone.segmentAt(localMs).offsetMs;
  return localMs - zone.segmentAt(guess).offsetMs;
}
