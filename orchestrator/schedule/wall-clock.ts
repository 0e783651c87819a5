/**
 * Instants of a cron expression in a timezone, with named policies for the days on which clocks change.
 *
 * Time is walked segment by segment (stretches of one offset). Within one, a local time is an instant by plain
 * subtraction. Where clocks jump forward, the local times that they jumped over are read with the offset of before
 * (`missing: shift`), so that 02:30 runs at 03:30 and never together with what is not its own. Where they go back,
 * `duplicate` says in which of the two segments a time that is in both is looked for.
 *
 * An expression that holds each hour of the day is not about an hour of the day: it runs each real hour.
 */
import { DEFAULT_DST, type DstPolicies } from '../../domain/schedule.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { CronFields } from './cron-fields.ts';
import { localAtOrAfter, localAtOrBefore } from './cron-walk.ts';
import type { Segment, Zone } from './zone.ts';

/** Instants in order, each once. */
export interface Instants {
  /** First one after `after`; null where none comes. */
  next(after: EpochMs): EpochMs | null;
  /** Last one before `before`; null where there is none. */
  previous(before: EpochMs): EpochMs | null;
}

/** Longer than any offset and any jump of clocks together. */
const NEAR_MS = 3 * 86_400_000;
const REAL_TIME: DstPolicies = { missing: 'shift', duplicate: 'both' };

export function wallClockInstants(
  fields: CronFields,
  zone: Zone,
  policies: DstPolicies = DEFAULT_DST,
): Instants {
  const dst = fields.everyHour ? REAL_TIME : policies;
  return {
    next(after) {
      let from = after + 1;
      for (let first = true; ; first = false) {
        const segment = zone.segmentAt(from);
        const { low, high } = localsOf(segment, dst);
        const local = localAtOrAfter(fields, Math.max(low, from + segment.offsetMs));
        const plain = local !== null && local < high ? local - segment.offsetMs : null;
        const shifted = shiftedAtOrAfter(fields, segment, dst, from);
        const found = earliest(plain, shifted);
        if (found !== null) return found;
        if (local === null) return null;
        // Of the first segment only a part was looked at; a time before it may come a second time.
        from = first ? segment.end : Math.max(segment.end, local - NEAR_MS);
      }
    },
    previous(before) {
      let until = before - 1;
      for (let first = true; ; first = false) {
        const segment = zone.segmentAt(until);
        const { low, high } = localsOf(segment, dst);
        const local = localAtOrBefore(fields, Math.min(high - 1, until + segment.offsetMs));
        const plain = local !== null && local >= low ? local - segment.offsetMs : null;
        const shifted = shiftedAtOrBefore(fields, segment, dst, until);
        const found = latest(plain, shifted);
        if (found !== null) return found;
        if (local === null) return null;
        until = first ? segment.start - 1 : Math.min(segment.start - 1, local + NEAR_MS);
      }
    },
  };
}

/** The local times that run in a segment, without those of the gap before it: from `low` until before `high`. */
function localsOf(segment: Segment, { duplicate }: DstPolicies): { low: number; high: number } {
  const { start, end, offsetMs, offsetBeforeMs, offsetAfterMs } = segment;
  const second = duplicate === 'last' || duplicate === 'both';
  const first = duplicate === 'first' || duplicate === 'both';
  return {
    low: start + (second ? offsetMs : Math.max(offsetMs, offsetBeforeMs)),
    high: end + (first ? offsetMs : Math.min(offsetMs, offsetAfterMs)),
  };
}

/** Local times that clocks jumped over at the begin of a segment; they are read with the offset of before. */
function gapOf(segment: Segment, { missing }: DstPolicies): { low: number; high: number } | null {
  const { start, offsetMs, offsetBeforeMs } = segment;
  if (missing === 'skip' || offsetMs <= offsetBeforeMs) return null;
  return { low: start + offsetBeforeMs, high: start + offsetMs };
}

function shiftedAtOrAfter(
  fields: CronFields,
  segment: Segment,
  dst: DstPolicies,
  from: EpochMs,
): EpochMs | null {
  const gap = gapOf(segment, dst);
  if (gap === null || from + segment.offsetBeforeMs >= gap.high) return null;
  const local = localAtOrAfter(fields, Math.max(gap.low, from + segment.offsetBeforeMs));
  return local !== null && local < gap.high ? local - segment.offsetBeforeMs : null;
}

function shiftedAtOrBefore(
  fields: CronFields,
  segment: Segment,
  dst: DstPolicies,
  until: EpochMs,
): EpochMs | null {
  const gap = gapOf(segment, dst);
  if (gap === null) return null;
  const local = localAtOrBefore(fields, Math.min(gap.high - 1, until + segment.offsetBeforeMs));
  return local !== null && local >= gap.low ? local - segment.offsetBeforeMs : null;
}

function earliest(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

function latest(a: EpochMs | null, b: EpochMs | null): EpochMs | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
