/**
 * Runs that a schedule makes of partitioned assets: of time, the newest partition that is complete at the interval's
 * end; of a list, one run for each key; of both, one for each key of that time. A handler of ranges gets all keys in
 * one run.
 */
import type { PartitionsDefinition } from '../../../domain/partition.ts';
import type { CreateRuns, RunRequest } from '../../runs/trigger.ts';
import { readDynamicKeys } from '../../store/dynamic-partition.ts';
import { type PartitionedRow, readPartitionedAmong } from '../../store/partition.ts';
import { type DynamicKeys, dynamicNamesOf, partitionSet, timePartOf } from './partition-set.ts';

/** Makes runs as they are asked for, those of partitioned assets with the partitions that they are for. */
export function createPartitionedRuns(createRuns: CreateRuns): CreateRuns {
  return async (tx, requests) => {
    const names = [...new Set(requests.map(({ workflow }) => workflow))];
    const assets = new Map((await readPartitionedAmong(tx, names)).map((row) => [row.key, row]));
    if (assets.size === 0) return createRuns(tx, requests);
    const lists = [...assets.values()].flatMap(({ partitions }) => dynamicNamesOf(partitions));
    const dynamic = await readDynamicKeys(tx, lists);
    const groups = requests.map((request) => {
      const asset = assets.get(request.workflow);
      return asset && !request.partitions ? runsOf(request, asset, dynamic) : [request];
    });
    const created = await createRuns(tx, groups.flat());
    // Whoever asked gets one run for each request: the first of its keys.
    let at = 0;
    return groups.flatMap((group) => {
      const first = created[at];
      at += group.length;
      return first ? [first] : [];
    });
  };
}

function runsOf(
  request: RunRequest,
  { key, partitions, partition_runs: mode }: PartitionedRow,
  dynamic: DynamicKeys,
): readonly RunRequest[] {
  const end = request.dataInterval ? Date.parse(request.dataInterval.end) : request.logicalDate;
  const keys = end == null ? [] : keysAt(partitions, end, dynamic);
  const groups = mode === 'range' && keys.length > 1 ? [keys] : keys.map((one) => [one]);
  // Before the first partition is complete the run is of none.
  if (groups.length === 0) return [request];
  return groups.map((of) => ({
    ...request,
    partitions: { [key]: of },
    ...(request.idempotencyKey && groups.length > 1
      ? { idempotencyKey: `${request.idempotencyKey}:${of[0]}` }
      : {}),
  }));
}

/** Partitions that something which is due at a moment is for. */
function keysAt(
  definition: PartitionsDefinition,
  at: number,
  dynamic: DynamicKeys,
): readonly string[] {
  const set = partitionSet(definition, at, dynamic);
  const all = () => Array.from({ length: set.size }, (_, index) => set.at(index));
  if (definition.kind === 'time') return set.size === 0 ? [] : [set.at(set.size - 1)];
  if (definition.kind !== 'multi' || timePartOf(definition) === null) return all();
  const newest = all().reduce((most, key) => Math.max(most, set.interval(key)?.end ?? 0), 0);
  return all().filter((key) => set.interval(key)?.end === newest);
}
