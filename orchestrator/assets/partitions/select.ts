/** Which partitions somebody means who asks to make some, or to see some. */
import { SignalboxError } from '../../../domain/errors.ts';
import type { PartitionsDefinition } from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import { readDay } from './calendar.ts';
import type { PartitionSet } from './partition-set.ts';
import { instantOf, timeLine } from './time-line.ts';

const DAY_MS = 86_400_000;
const MAX_TOLD = 5;

/**
 * Keys from one to another, both included. Of partitions of time a date or a moment says where as well.
 * @throws SignalboxError `invalid-request` for an end that is neither
 */
export function keysInRange(
  definition: PartitionsDefinition,
  set: PartitionSet,
  range: { readonly from?: string | undefined; readonly to?: string | undefined },
): { readonly low: number; readonly high: number } {
  const low = range.from === undefined ? 0 : placeOf(definition, set, range.from, 'from');
  const high = range.to === undefined ? set.size - 1 : placeOf(definition, set, range.to, 'to');
  // What lies between two ends may be nothing; with the ends the wrong way round nobody means that.
  const areKeys = [range.from, range.to].every((key) => key && set.indexOf(key) !== null);
  if (low > high + 1 || (areKeys && low > high)) {
    throw new SignalboxError('invalid-request', `from ${range.from} is after to ${range.to}`);
  }
  return { low: Math.max(0, low), high };
}

function placeOf(
  definition: PartitionsDefinition,
  set: PartitionSet,
  text: string,
  side: 'from' | 'to',
): number {
  const index = set.indexOf(text);
  if (index !== null) return index;
  if (definition.kind === 'time') {
    const line = timeLine(definition);
    const at = momentOf(text, definition.timezone, side);
    if (!Number.isNaN(at)) {
      const place = line.indexAt(at);
      if (side === 'to') return Math.min(place, set.size - 1);
      return place >= 0 && line.interval(place).start < at ? place + 1 : Math.max(0, place);
    }
  }
  throw new SignalboxError(
    'invalid-request',
    `${side}: there is no partition ${JSON.stringify(text.slice(0, 100))}`,
  );
}

function momentOf(text: string, timezone: string, side: 'from' | 'to'): EpochMs {
  const at = instantOf(text, timezone);
  // A date as an end is the whole day.
  return side === 'to' && readDay(text) !== null ? at + DAY_MS - 1 : at;
}

/** @throws SignalboxError `invalid-request` that names the first keys that there are not */
export function assertKeys(asset: string, set: PartitionSet, keys: readonly string[]): void {
  const unknown = keys.filter((key) => set.indexOf(key) === null);
  if (unknown.length === 0) return;
  const named = unknown.slice(0, MAX_TOLD).map((key) => JSON.stringify(key.slice(0, 100)));
  const near =
    set.size === 0 ? 'there are none yet' : `they go from ${set.at(0)} to ${set.at(set.size - 1)}`;
  throw new SignalboxError(
    'invalid-request',
    `${asset} has no partition ${named.join(', ')}${unknown.length > MAX_TOLD ? ' …' : ''}; ${near}`,
  );
}

/** Each key once, in the order of the set. */
export function inOrder(set: PartitionSet, keys: readonly string[]): readonly string[] {
  const places = new Map(keys.map((key) => [key, set.indexOf(key) ?? 0]));
  return [...places].sort(([, a], [, b]) => a - b).map(([key]) => key);
}
