/**
 * The partitions of an asset at a moment, whatever they are cut by: how many should be there, in which order, of
 * which time. With two dimensions the first one is the slow one; a partition is expected when it is in both.
 */
import {
  joinKey,
  type PartitionsDefinition,
  type SinglePartitions,
  splitKey,
} from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import type { Interval } from '../../schedule/cron.ts';
import { type TimeLine, timeLine } from './time-line.ts';

/** Keys of the lists that grow, by the list's name. */
export type DynamicKeys = ReadonlyMap<string, readonly string[]>;

export interface PartitionSet {
  /** How many should be there by now. */
  readonly size: number;
  /** The key at a place below `size`. */
  at(index: number): string;
  /** Place of a key; null where it is none, or its time has not begun. It may lie at or above `size`. */
  indexOf(key: string): number | null;
  /** Time that a partition is of; null where it is not of time. */
  interval(key: string): Interval | null;
  dimensions(key: string): Readonly<Record<string, string>> | null;
}

export const NO_DYNAMIC_KEYS: DynamicKeys = new Map();

export function partitionSet(
  definition: PartitionsDefinition,
  now: EpochMs,
  dynamic: DynamicKeys,
): PartitionSet {
  if (definition.kind !== 'multi') return single(definition, now, dynamic);
  const [slow, fast] = definition.dimensions;
  if (!slow || !fast) throw new Error('partitions of two dimensions have two');
  const first = single(slow.partitions, now, dynamic);
  const second = single(fast.partitions, now, dynamic);
  return {
    size: first.size * second.size,
    at: (index) =>
      joinKey([first.at(Math.floor(index / second.size)), second.at(index % second.size)]),
    indexOf(key) {
      const [a, b] = splitKey(key, 2) ?? [];
      const i = a === undefined ? null : first.indexOf(a);
      const j = b === undefined ? null : second.indexOf(b);
      return i === null || j === null ? null : i * second.size + j;
    },
    interval(key) {
      const [a = '', b = ''] = splitKey(key, 2) ?? [];
      return first.interval(a) ?? second.interval(b);
    },
    dimensions(key) {
      const [a, b] = splitKey(key, 2) ?? [];
      return a === undefined || b === undefined ? null : { [slow.name]: a, [fast.name]: b };
    },
  };
}

function single(definition: SinglePartitions, now: EpochMs, dynamic: DynamicKeys): PartitionSet {
  if (definition.kind === 'time') return ofTime(timeLine(definition), now);
  const keys =
    definition.kind === 'static' ? definition.keys : (dynamic.get(definition.name) ?? []);
  const places = placesOf(keys);
  return {
    size: keys.length,
    at: (index) => keys[index] ?? '',
    indexOf: (key) => places.get(key) ?? null,
    interval: () => null,
    dimensions: () => null,
  };
}

function ofTime(line: TimeLine, now: EpochMs): PartitionSet {
  const begun = line.begunAt(now);
  return {
    size: line.expectedAt(now),
    at: line.keyAt,
    indexOf(key) {
      const index = line.indexOf(key);
      return index === null || index >= begun ? null : index;
    },
    interval(key) {
      const index = line.indexOf(key);
      return index === null ? null : line.interval(index);
    },
    dimensions: () => null,
  };
}

const places = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

function placesOf(keys: readonly string[]): ReadonlyMap<string, number> {
  const known = places.get(keys);
  if (known) return known;
  const made = new Map(keys.map((key, index) => [key, index]));
  places.set(keys, made);
  return made;
}

/** The part of the definition that is of time; null where none is. */
export function timePartOf(definition: PartitionsDefinition) {
  if (definition.kind === 'time') return definition;
  if (definition.kind !== 'multi') return null;
  for (const { partitions } of definition.dimensions) {
    if (partitions.kind === 'time') return partitions;
  }
  return null;
}

/** Names of the growing lists that a definition looks at. */
export function dynamicNamesOf(definition: PartitionsDefinition | null): readonly string[] {
  if (definition === null) return [];
  const parts =
    definition.kind === 'multi'
      ? definition.dimensions.map(({ partitions }) => partitions)
      : [definition];
  return parts.flatMap((part) => (part.kind === 'dynamic' ? [part.name] : []));
}
