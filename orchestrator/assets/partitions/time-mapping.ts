/** Windows of time between partitions, also where one side has a second dimension: its keys go along by name, or all of them. */
import {
  joinKey,
  type PartitionMapping,
  type PartitionsDefinition,
  splitKey,
  type TimePartitions,
} from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import type { MappingMoment } from './mapping.ts';
import { partitionSet } from './partition-set.ts';
import { timeLine } from './time-line.ts';

type Window = Extract<PartitionMapping, { kind: 'time' }>;

/** A key cut into its time and the rest. */
interface Cut {
  readonly time: string;
  /** Name and key of the other dimension, where there is one. */
  readonly other: { readonly name: string; readonly key: string } | null;
}

export function timeUpstream(
  upstream: PartitionsDefinition,
  downstream: PartitionsDefinition,
  window: Window,
  key: string,
  moment: MappingMoment,
): readonly string[] {
  const above = timeDimension(upstream);
  const below = timeDimension(downstream);
  const cut = cutKey(downstream, key);
  if (!above || !below || !cut) return [];
  const down = timeLine(below.partitions);
  const index = down.indexOf(cut.time);
  if (index === null) return [];
  const [low, high] = span(above.partitions, below.partitions, window, index, moment.now);
  return compose(upstream, keysBetween(above.partitions, low, high), cut.other, moment);
}

export function timeDownstream(
  upstream: PartitionsDefinition,
  downstream: PartitionsDefinition,
  window: Window,
  key: string,
  moment: MappingMoment,
): readonly string[] {
  const above = timeDimension(upstream);
  const below = timeDimension(downstream);
  const cut = cutKey(upstream, key);
  if (!above || !below || !cut) return [];
  const up = timeLine(above.partitions);
  const index = up.indexOf(cut.time);
  if (index === null) return [];
  const down = timeLine(below.partitions);
  // Those that may overlap; one more on each side, since a cron's first partition stands for all before it.
  const startOf = (at: number) => up.interval(at).start;
  const first = index - window.endOffset;
  const low =
    first <= 0 && above.partitions.every === 'cron' ? 0 : down.indexAt(startOf(first)) - 1;
  const high = down.indexAt(startOf(index - window.startOffset + 1)) + 1;
  const times: string[] = [];
  const last = Math.min(high, down.begunAt(moment.now) - 1);
  for (let at = Math.max(0, low); at <= last; at += 1) {
    const [from, to] = span(above.partitions, below.partitions, window, at, moment.now);
    if (from <= index && index <= to) times.push(down.keyAt(at));
  }
  return compose(downstream, times, cut.other, moment);
}

/**
 * Whether what was read of an upstream goes as far as the window does, or as the upstream does by now.
 * @param newest the upstream's newest partition that was made
 */
export function reachesNewest(
  upstream: PartitionsDefinition,
  downstream: PartitionsDefinition,
  window: Window,
  of: { readonly key: string; readonly newest: string; readonly read: readonly string[] },
): boolean {
  const above = timeDimension(upstream);
  const below = timeDimension(downstream);
  const cut = cutKey(downstream, of.key);
  if (!above || !below || !cut) return true;
  const line = timeLine(above.partitions);
  const placeOf = (key: string) => line.indexOf(cutKey(upstream, key)?.time ?? '');
  const newest = placeOf(of.newest);
  const index = timeLine(below.partitions).indexOf(cut.time);
  if (newest === null || index === null) return true;
  const [from, to] = span(above.partitions, below.partitions, window, index, ALL_IS_OVER);
  const wanted = Math.min(to, newest);
  return wanted < from || of.read.some((key) => (placeOf(key) ?? -1) >= wanted);
}

/** A moment at which no partition is in progress. */
const ALL_IS_OVER = Number.POSITIVE_INFINITY;

/**
 * Numbers of the upstream's partitions that one of the downstream overlaps, moved. One whose time is not over (there
 * are such with `endOffset`) is made from those that should be there by now; while that is none, it waits for the first.
 */
function span(
  above: TimePartitions,
  below: TimePartitions,
  { startOffset, endOffset }: Window,
  index: number,
  now: EpochMs,
): readonly [number, number] {
  const line = timeLine(above);
  const { start, end } = timeLine(below).interval(index);
  const from = line.indexAt(start) + startOffset;
  const to = line.indexAt(end - 1) + endOffset;
  return end <= now
    ? [from, to]
    : [from, Math.min(to, Math.max(0, from, line.expectedAt(now) - 1))];
}

/** Keys from one number to another; those before the first and after the last there is are left out. */
function keysBetween(of: TimePartitions, low: number, high: number): readonly string[] {
  const line = timeLine(of);
  const first = Math.max(0, low);
  const last = Math.min(high, line.size - 1);
  return last < first
    ? []
    : Array.from({ length: last - first + 1 }, (_, index) => line.keyAt(first + index));
}

function timeDimension(
  of: PartitionsDefinition,
): { readonly partitions: TimePartitions; readonly place: number } | null {
  if (of.kind === 'time') return { partitions: of, place: 0 };
  if (of.kind !== 'multi') return null;
  for (const [place, { partitions }] of of.dimensions.entries()) {
    if (partitions.kind === 'time') return { partitions, place };
  }
  return null;
}

function cutKey(of: PartitionsDefinition, key: string): Cut | null {
  if (of.kind !== 'multi') return { time: key, other: null };
  const place = timeDimension(of)?.place;
  const parts = splitKey(key, of.dimensions.length);
  const time = place === undefined ? undefined : parts?.[place];
  if (place === undefined || time === undefined) return null;
  const name = of.dimensions[1 - place]?.name ?? '';
  return { time, other: { name, key: parts?.[1 - place] ?? '' } };
}

/** Keys of the times, each with the other dimension's keys where there is one. */
function compose(
  of: PartitionsDefinition,
  times: readonly string[],
  other: Cut['other'],
  moment: MappingMoment,
): readonly string[] {
  if (of.kind !== 'multi') return times;
  const place = timeDimension(of)?.place ?? 0;
  const dimension = of.dimensions[1 - place];
  if (!dimension) return [];
  const set = partitionSet(dimension.partitions, moment.now, moment.dynamic);
  const keys =
    other?.name === dimension.name
      ? set.indexOf(other.key) === null
        ? []
        : [other.key]
      : Array.from({ length: set.size }, (_, index) => set.at(index));
  return times.flatMap((time) =>
    keys.map((key) => joinKey(place === 0 ? [time, key] : [key, time])),
  );
}
