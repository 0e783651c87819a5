/**
 * Which partitions of an upstream a partition is made from, and the other way: which partitions below one changes.
 * What time mappings say is by overlap, in whole partitions of the upstream, so that a day of 23 hours is made from
 * 23 of them. Both directions agree: `u` is among the upstreams of `d` exactly where `d` is below `u`.
 */
import {
  joinKey,
  type PartitionMapping,
  type PartitionsDefinition,
  type SinglePartitions,
  splitKey,
  type TimePartitions,
} from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import { type DynamicKeys, partitionSet, timePartOf } from './partition-set.ts';
import { timeDownstream, timeUpstream } from './time-mapping.ts';

/** Both sides of an edge; null for an asset without partitions. */
export interface Sides {
  readonly upstream: PartitionsDefinition | null;
  readonly downstream: PartitionsDefinition | null;
  /** Null where the code says nothing: what the definitions suggest. */
  readonly mapping: PartitionMapping | null;
}

export interface MappingMoment {
  readonly now: EpochMs;
  readonly dynamic: DynamicKeys;
}

/** Partitions one side has for one of the other; null stands for an asset without partitions as a whole. */
export type MappedKeys = readonly string[] | null;

/** What holds where the code says nothing. */
export function effectiveMapping({ upstream, downstream, mapping }: Sides): PartitionMapping {
  if (mapping) return mapping;
  if (upstream === null || downstream === null) return { kind: 'all' };
  if (upstream.kind === 'time' && downstream.kind === 'time') return overlap(0, 0);
  if (upstream.kind === 'multi' && downstream.kind !== 'multi') {
    return { kind: 'dimension', dimension: likest(upstream.dimensions, downstream) };
  }
  if (downstream.kind === 'multi' && upstream.kind !== 'multi') {
    return { kind: 'dimension', dimension: likest(downstream.dimensions, upstream) };
  }
  return { kind: 'same' };
}

function overlap(startOffset: number, endOffset: number): PartitionMapping {
  return { kind: 'time', startOffset, endOffset };
}

function likest(
  dimensions: readonly { name: string; partitions: SinglePartitions }[],
  other: SinglePartitions,
): string {
  const text = JSON.stringify(other);
  const same = dimensions.find(({ partitions }) => JSON.stringify(partitions) === text);
  const alike = dimensions.find(({ partitions }) => partitions.kind === other.kind);
  return (same ?? alike ?? dimensions[0])?.name ?? '';
}

/**
 * Partitions of the upstream that a partition of the downstream is made from.
 * @param key null for a downstream without partitions
 */
export function upstreamKeys(sides: Sides, key: string | null, moment: MappingMoment): MappedKeys {
  const { upstream, downstream } = sides;
  if (upstream === null) return null;
  const mapping = effectiveMapping(sides);
  const set = partitionSet(upstream, moment.now, moment.dynamic);
  const all = () => Array.from({ length: set.size }, (_, index) => set.at(index));
  switch (mapping.kind) {
    case 'all':
      return all();
    case 'last':
      return set.size > 0 ? [set.at(set.size - 1)] : [];
    case 'specific':
      return mapping.keys.filter((one) => set.indexOf(one) !== null);
    case 'static':
      return Object.keys(mapping.map).filter(
        (one) => key !== null && mapping.map[one]?.includes(key),
      );
    case 'same':
      if (key === null) return all();
      return set.indexOf(key) === null ? [] : [key];
    case 'time':
      if (key === null || downstream === null) return all();
      return timeUpstream(upstream, downstream, mapping, key, moment);
    case 'dimension':
      return key === null ? all() : byDimension(sides, mapping.dimension, key, moment);
  }
}

/** Partitions of the downstream that are made from a partition of the upstream. */
export function downstreamKeys(
  sides: Sides,
  key: string | null,
  moment: MappingMoment,
): MappedKeys {
  const { upstream, downstream } = sides;
  if (downstream === null) return null;
  const mapping = effectiveMapping(sides);
  const set = partitionSet(downstream, moment.now, moment.dynamic);
  const all = () => Array.from({ length: set.size }, (_, index) => set.at(index));
  if (upstream === null || key === null) return all();
  switch (mapping.kind) {
    case 'all':
      return all();
    case 'last':
      return upstreamKeys(sides, null, moment)?.includes(key) ? all() : [];
    case 'specific':
      return mapping.keys.includes(key) ? all() : [];
    case 'static':
      return (mapping.map[key] ?? []).filter((one) => set.indexOf(one) !== null);
    case 'same':
      return set.indexOf(key) === null ? [] : [key];
    case 'time':
      return timeDownstream(upstream, downstream, mapping, key, moment);
    case 'dimension':
      return byDimension(
        { upstream: downstream, downstream: upstream, mapping },
        mapping.dimension,
        key,
        moment,
      );
  }
}

/** Whether code gets an object by key (true), or the one value: it depends on the declaration, never on the data. */
export function givesMany(sides: Sides): boolean {
  const { upstream, downstream } = sides;
  if (upstream === null) return false;
  const mapping = effectiveMapping(sides);
  if (mapping.kind === 'last') return false;
  if (mapping.kind === 'specific') return mapping.keys.length !== 1;
  if (downstream === null || mapping.kind === 'all') return true;
  if (mapping.kind === 'same') return false;
  if (mapping.kind === 'dimension') return upstream.kind === 'multi';
  if (mapping.kind === 'static') {
    const below = Object.values(mapping.map).flat();
    return new Set(below).size < below.length;
  }
  if (upstream.kind === 'multi' && downstream.kind !== 'multi') return true;
  return (
    mapping.startOffset !== mapping.endOffset ||
    !isWithin(timePartOf(downstream), timePartOf(upstream))
  );
}

const RANK = { hour: 0, day: 1, week: 2, month: 3 } as const;

/** Whether each partition of the one lies in a single one of the other. */
function isWithin(fine: TimePartitions | null, coarse: TimePartitions | null): boolean {
  if (fine === null || coarse === null || fine.timezone !== coarse.timezone) return false;
  if (fine.every === 'cron' || coarse.every === 'cron') return fine.cron === coarse.cron;
  if (fine.every === 'week' && coarse.every === 'week') {
    return (fine.weekStart ?? 0) === (coarse.weekStart ?? 0);
  }
  if (fine.every === 'week' && coarse.every === 'month') return false;
  return RANK[fine.every] <= RANK[coarse.every];
}

/** The other side's partitions that share a dimension's key. */
function byDimension(
  { upstream, downstream }: Sides,
  dimension: string,
  key: string,
  moment: MappingMoment,
): readonly string[] {
  if (!upstream || !downstream) return [];
  if (downstream.kind === 'multi' && upstream.kind !== 'multi') {
    const place = downstream.dimensions.findIndex(({ name }) => name === dimension);
    const part = splitKey(key, downstream.dimensions.length)?.[place];
    const set = partitionSet(upstream, moment.now, moment.dynamic);
    return part === undefined || set.indexOf(part) === null ? [] : [part];
  }
  if (upstream.kind !== 'multi' || downstream.kind === 'multi') return [];
  const place = upstream.dimensions.findIndex(({ name }) => name === dimension);
  const other = upstream.dimensions[1 - place];
  const own = upstream.dimensions[place];
  if (!other || !own) return [];
  if (partitionSet(own.partitions, moment.now, moment.dynamic).indexOf(key) === null) return [];
  const set = partitionSet(other.partitions, moment.now, moment.dynamic);
  return Array.from({ length: set.size }, (_, index) =>
    joinKey(place === 0 ? [key, set.at(index)] : [set.at(index), key]),
  );
}
