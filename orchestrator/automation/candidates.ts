/** Which partitions of an asset are looked at: the newest ones, and those that were held back before. */
import type { PartitionsDefinition } from '../../domain/partition.ts';
import type { EpochMs } from '../../domain/time.ts';
import {
  type DynamicKeys,
  type PartitionSet,
  partitionSet,
  timePartOf,
} from '../assets/partitions/partition-set.ts';
import { timeLine } from '../assets/partitions/time-line.ts';

/** Partitions beyond the newest ones that are looked at since they were held back. */
const MAX_OPEN = 1_000;

/**
 * Keys in order, the oldest first.
 * @param newest so many of the newest moments, each with all keys of a second dimension; of a list, all of it
 * @param open keys that were held back, or that a run was asked for
 */
export function candidatesOf(
  definition: PartitionsDefinition,
  of: {
    readonly newest: number;
    readonly most: number;
    readonly open: readonly string[];
    readonly now: EpochMs;
    readonly dynamic: DynamicKeys;
  },
): readonly string[] {
  const set = partitionSet(definition, of.now, of.dynamic);
  const places = new Set(newestPlaces(definition, set, of));
  const open = of.open
    .flatMap((key) => set.indexOf(key) ?? [])
    .filter((place) => place < set.size)
    .sort((a, b) => b - a);
  for (const place of open.slice(0, MAX_OPEN)) places.add(place);
  return [...places].sort((a, b) => a - b).map((place) => set.at(place));
}

function newestPlaces(
  definition: PartitionsDefinition,
  set: PartitionSet,
  { newest, most, now, dynamic }: Parameters<typeof candidatesOf>[1],
): readonly number[] {
  const last = (count: number) =>
    Array.from({ length: Math.min(count, set.size) }, (_, index) => set.size - 1 - index);
  const time = timePartOf(definition);
  // Those that are in progress come on top: the one before them is made a last time once it is over.
  const wanted = newest + Math.max(0, time?.endOffset ?? 0);
  if (definition.kind === 'time') return last(Math.min(wanted, most));
  if (definition.kind !== 'multi' || time === null) return last(most);
  // The first dimension is the slow one: where it is time, the newest moments are the last keys.
  const moments = partitionSet(time, now, dynamic).size;
  const others = moments === 0 ? 0 : set.size / moments;
  if (definition.dimensions[0]?.partitions === time) return last(Math.min(most, wanted * others));
  const places: number[] = [];
  for (let at = moments - 1; at >= Math.max(0, moments - wanted); at -= 1) {
    for (let other = 0; other < others && places.length < most; other += 1) {
      places.push(other * moments + at);
    }
  }
  return places;
}

/** When the next partition is due to be there; null where they are not of time. */
export function nextPartitionAt(
  definition: PartitionsDefinition | null,
  now: EpochMs,
): EpochMs | null {
  const time = definition && timePartOf(definition);
  if (!time) return null;
  const line = timeLine(time);
  const index = line.indexAt(now);
  const { start, end } = line.interval(Math.max(0, index));
  const at = index < 0 ? start : end;
  return Number.isFinite(at) && at > now ? at : null;
}
