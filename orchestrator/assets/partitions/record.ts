/**
 * Keeps the latest of each partition, and what the partitions of an asset add up to, in the transaction that records
 * versions and failures. The asset's row is locked by then, so the sums are right whoever else records.
 */
import type { PartitionsDefinition } from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import type { Tx } from '../../store/connection.ts';
import { readDynamicKeys } from '../../store/dynamic-partition.ts';
import {
  failPartitions,
  type PartitionSum,
  readPartitionMarks,
  sumPartitions,
  upsertPartitions,
} from '../../store/partition.ts';
import type { SeenFailure } from '../record.ts';
import { type DynamicKeys, dynamicNamesOf, partitionSet, timePartOf } from './partition-set.ts';
import { keysOf, type PlacedVersion } from './place.ts';

type DefinitionOf = (assetKey: string) => PartitionsDefinition | null;

/** Records what is of partitions among these versions; they are in the order in which they were made. */
export async function recordPartitions(
  tx: Tx,
  versions: readonly PlacedVersion[],
  degraded: (versionId: string) => boolean,
  definitionOf: DefinitionOf,
  now: EpochMs,
): Promise<void> {
  const last = new Map<string, PlacedVersion>();
  for (const version of versions) {
    if (version.partition !== null && definitionOf(version.assetKey) !== null) {
      last.set(nameOf(version.assetKey, version.partition), version);
    }
  }
  if (last.size === 0) return;
  const rows = [...last.values()].map((version) => ({
    asset_key: version.assetKey,
    partition: version.partition ?? '',
    version_id: version.id,
    at: iso(version.at),
    recorded_at: iso(now),
    run_id: version.runId,
    degraded: degraded(version.id),
    data_version: version.dataVersion ?? version.id,
    code_version: version.codeVersion ?? null,
    value: version.value,
    end_at: version.endAt == null ? null : iso(version.endAt),
  }));
  const marks = await readPartitionMarks(tx, rows);
  await upsertPartitions(tx, rows);
  const sums = new Map<string, Sum>();
  for (const row of rows) {
    const mark = marks.get(nameOf(row.asset_key, row.partition));
    const sum = sumOf(sums, row.asset_key);
    if (!mark?.made) sum.made += 1;
    if (mark?.failed) sum.failed -= 1;
    sum.lastId = row.version_id;
    if (row.end_at !== null && row.end_at > (sum.endAt ?? '')) sum.endAt = row.end_at;
  }
  await addUp(tx, sums, definitionOf, now);
}

/**
 * Records failures of partitions.
 * @returns those that are failures of their asset as well: of no partition, of the newest one, or of one without time
 */
export async function recordPartitionFailures(
  tx: Tx,
  failures: readonly SeenFailure[],
  definitionOf: DefinitionOf,
  now: EpochMs,
): Promise<readonly SeenFailure[]> {
  const rows = failures.flatMap((failure) => {
    const definition = definitionOf(failure.assetKey);
    if (definition === null) return [];
    return keysOf(definition, failure, now).map((partition) => ({
      asset_key: failure.assetKey,
      partition,
      at: iso(failure.at),
      run_id: failure.runId,
      failure: { state: failure.state, error: failure.error },
    }));
  });
  if (rows.length > 0) {
    const unique = [
      ...new Map(rows.map((row) => [nameOf(row.asset_key, row.partition), row])).values(),
    ];
    const marks = await readPartitionMarks(tx, unique);
    await failPartitions(tx, unique);
    const sums = new Map<string, Sum>();
    for (const row of unique) {
      if (!marks.get(nameOf(row.asset_key, row.partition))?.failed) {
        sumOf(sums, row.asset_key).failed += 1;
      }
    }
    await addUp(tx, sums, definitionOf, now);
  }
  return failures.filter((failure) => {
    const definition = definitionOf(failure.assetKey);
    const time = definition && timePartOf(definition);
    if (!definition || !time) return true;
    const keys = keysOf(definition, failure, now);
    const newest = newestExpected({ ...time, endOffset: 0 }, now);
    const set = partitionSet(definition, now, new Map());
    return keys.some((key) => {
      const interval = set.interval(key);
      return interval === null || newest === null || interval.end >= newest;
    });
  });
}

function newestExpected(definition: PartitionsDefinition, now: EpochMs): EpochMs | null {
  const set = partitionSet(definition, now, new Map());
  return set.size === 0 ? null : (set.interval(set.at(set.size - 1))?.end ?? null);
}

interface Sum {
  made: number;
  failed: number;
  lastId: string | null;
  endAt: string | null;
}

function sumOf(sums: Map<string, Sum>, key: string): Sum {
  const known = sums.get(key);
  if (known) return known;
  const made = { made: 0, failed: 0, lastId: null, endAt: null };
  sums.set(key, made);
  return made;
}

/** Changes the sums of the assets; what is complete by now is looked up where it is no maximum. */
async function addUp(
  tx: Tx,
  sums: ReadonlyMap<string, Sum>,
  definitionOf: DefinitionOf,
  now: EpochMs,
): Promise<void> {
  if (sums.size === 0) return;
  const names = [...sums.keys()].flatMap((key) => dynamicNamesOf(definitionOf(key)));
  const dynamic = await readDynamicKeys(tx, names);
  const records = [...sums].map(
    ([key, sum]): PartitionSum => ({
      key,
      made: sum.made,
      failed: sum.failed,
      last_id: sum.lastId,
      end_at: sum.endAt,
      ...wholeness(definitionOf(key), dynamic, now),
    }),
  );
  await sumPartitions(tx, records);
}

/**
 * How to tell up to when an asset is complete: of time, it is as its newest partition says; of a list, as old as the
 * oldest of its partitions; of time and a list, the newest time of which every key is there.
 */
export function wholeness(
  definition: PartitionsDefinition | null,
  dynamic: DynamicKeys,
  now: EpochMs,
): Pick<PartitionSum, 'whole' | 'keys'> {
  if (definition === null || definition.kind === 'time') return { whole: 'newest', keys: 0 };
  if (definition.kind === 'multi' && timePartOf(definition)) {
    const other = definition.dimensions.find(({ partitions }) => partitions.kind !== 'time');
    const keys = other ? partitionSet(other.partitions, now, dynamic).size : 1;
    return { whole: 'newest-full', keys };
  }
  return { whole: 'oldest', keys: partitionSet(definition, now, dynamic).size };
}

function nameOf(assetKey: string, partition: string): string {
  return `${assetKey}\n${partition}`;
}

function iso(at: EpochMs): string {
  return new Date(at).toISOString();
}
