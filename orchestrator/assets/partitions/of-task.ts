/**
 * Which partitions a task of a run makes. Whoever makes a run of a partitioned asset says so with the run; a run of
 * a workflow whose task produces such an asset has the partition that its data interval ends with.
 */
import type {
  AssignedPartition,
  PartitionsDefinition,
  RunPartitions,
} from '../../../domain/partition.ts';
import type { DataInterval } from '../../../domain/run.ts';
import type { EpochMs } from '../../../domain/time.ts';
import type { GraphTask } from '../../catalog/graph.ts';
import { NO_DYNAMIC_KEYS, partitionSet } from './partition-set.ts';
import { timeLine } from './time-line.ts';

/** Under this key stand the partitions of the workflow itself. */
export const OF_WORKFLOW = '*';

/** Any time: a key that was accepted stays what it is. */
const AT_ANY_TIME = Date.UTC(2300, 0, 1);

export function keysOfTask(partitions: RunPartitions | null, assetKey: string) {
  return partitions?.[assetKey] ?? partitions?.[OF_WORKFLOW] ?? null;
}

/** Keys of one asset that a business key names one by one. */
const MAX_NAMED = 20;

/** What a run makes, for its business key: two runs of different partitions are different work. */
export function namePartitions(partitions: RunPartitions | null): readonly string[] {
  return Object.entries(partitions ?? {}).map(([asset, keys]) =>
    keys.length <= MAX_NAMED
      ? `${asset}[${keys.join(' ')}]`
      : `${asset}[${keys[0]}..${keys.at(-1)} ${keys.length}]`,
  );
}

/** What the agent is told; undefined for a task that is of no partition. */
export function assignedPartition(
  partitions: RunPartitions | null,
  task: GraphTask,
): AssignedPartition | undefined {
  const keys = keysOfTask(partitions, task.key);
  return keys === null ? undefined : assignedOf(task.asset?.partitions ?? null, keys);
}

/** Partitions with the time and the dimensions that they are of. */
export function assignedOf(
  definition: PartitionsDefinition | null,
  keys: readonly string[],
): AssignedPartition {
  const [first] = keys;
  return {
    keys,
    interval: definition && intervalOf(definition, keys),
    dimensions:
      definition && keys.length === 1 && first !== undefined
        ? partitionSet(definition, AT_ANY_TIME, NO_DYNAMIC_KEYS).dimensions(first)
        : null,
  };
}

/** From the first start to the last end; null where they are not of time. */
export function intervalOf(
  definition: PartitionsDefinition,
  keys: readonly string[],
): DataInterval | null {
  const set = partitionSet(definition, AT_ANY_TIME, NO_DYNAMIC_KEYS);
  const intervals = keys.flatMap((key) => set.interval(key) ?? []);
  if (intervals.length === 0) return null;
  const start = intervals.reduce((least, one) => Math.min(least, one.start), Number.MAX_VALUE);
  const end = intervals.reduce((most, one) => Math.max(most, one.end), 0);
  return { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

/** The newest partition that is complete at a moment; null where none is, or they are not of time alone. */
export function newestAt(definition: PartitionsDefinition, at: EpochMs): string | null {
  if (definition.kind !== 'time') return null;
  const line = timeLine(definition);
  const count = line.expectedAt(at);
  return count > 0 ? line.keyAt(count - 1) : null;
}
