/**
 * A run that makes partitions of several assets: which of each, out of those of the one that was asked for. What is
 * not tied to single partitions (an upstream as a whole, all, the newest) means the newest partition.
 */
import { SignalboxError } from '../../../domain/errors.ts';
import type {
  PartitionMapping,
  PartitionsDefinition,
  RunPartitions,
} from '../../../domain/partition.ts';
import { downstreamKeys, effectiveMapping, type MappingMoment, upstreamKeys } from './mapping.ts';
import { partitionSet } from './partition-set.ts';

export interface SpreadEdge {
  readonly upstream: string;
  readonly downstream: string;
  readonly mapping: PartitionMapping | null;
}

export interface Spreading {
  readonly definitions: ReadonlyMap<string, PartitionsDefinition | null>;
  /** Edges among the assets of the run. */
  readonly edges: readonly SpreadEdge[];
  readonly moment: MappingMoment;
}

/** Partitions of all assets that are reached from these ones, whose partitions are given. */
export function spreadPartitions(given: RunPartitions, of: Spreading): RunPartitions {
  const start = () => new Map(Object.entries(given).map(([asset, list]) => [asset, new Set(list)]));
  const keys = start();
  walk(keys, of, 'downstream');
  const above = start();
  walk(above, of, 'upstream');
  for (const [asset, list] of above) keys.set(asset, keys.get(asset) ?? list);
  for (const [asset, definition] of of.definitions) {
    if (definition === null || keys.has(asset)) continue;
    const newest = newestOf(definition, of.moment);
    keys.set(asset, new Set(newest === null ? [] : [newest]));
  }
  return Object.fromEntries([...keys].map(([asset, list]) => [asset, [...list]]));
}

function walk(
  keys: Map<string, Set<string>>,
  of: Spreading,
  direction: 'upstream' | 'downstream',
): void {
  const back = direction === 'downstream' ? 'upstream' : 'downstream';
  const queue = [...keys.keys()];
  for (const asset of queue) {
    for (const edge of of.edges) {
      if (edge[back] !== asset) continue;
      const next = edge[direction];
      const definition = of.definitions.get(next) ?? null;
      if (definition === null) {
        if (!keys.has(next)) queue.push(next);
        continue;
      }
      const before = keys.get(next);
      const reached = before ?? new Set<string>();
      const size = reached.size;
      for (const key of keys.get(asset) ?? []) {
        for (const found of mapped(edge, key, direction, of)) reached.add(found);
      }
      keys.set(next, reached);
      if (before === undefined || reached.size > size) queue.push(next);
    }
  }
}

function mapped(
  edge: SpreadEdge,
  key: string,
  direction: 'upstream' | 'downstream',
  { definitions, moment }: Spreading,
): readonly string[] {
  const sides = {
    upstream: definitions.get(edge.upstream) ?? null,
    downstream: definitions.get(edge.downstream) ?? null,
    mapping: edge.mapping,
  };
  const { kind } = effectiveMapping(sides);
  const target = sides[direction];
  if (kind === 'all' || kind === 'last' || kind === 'specific') {
    const newest = target && newestOf(target, moment);
    return newest === null ? [] : [newest];
  }
  return (direction === 'downstream' ? downstreamKeys : upstreamKeys)(sides, key, moment) ?? [];
}

/** The newest partition that should be there; null where none should. */
export function newestOf(definition: PartitionsDefinition, moment: MappingMoment): string | null {
  const set = partitionSet(definition, moment.now, moment.dynamic);
  return set.size === 0 ? null : set.at(set.size - 1);
}

/** Partitions of one asset that one task makes, one after the other. */
const MAX_IN_A_TASK = 1_000;

/** @throws SignalboxError `conflict` for an asset whose code makes one partition at a time and would get very many */
export function refuseMany(partitions: RunPartitions, range: (asset: string) => boolean): void {
  for (const [asset, keys] of Object.entries(partitions)) {
    if (keys.length <= MAX_IN_A_TASK || range(asset)) continue;
    throw new SignalboxError(
      'conflict',
      `${asset} would get ${keys.length} partitions in one run, and its code makes one at a time: materialize it by itself, or give it partitionRuns: 'range'`,
    );
  }
}
