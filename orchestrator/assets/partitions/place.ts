/**
 * Which partitions a recorded version is of. A run that makes several partitions gives several versions of it; data
 * of a partition of time is never newer than the partition's end, whatever its code says, so that a backfill of old
 * days turns nothing fresh.
 */
import { createHash } from 'node:crypto';
import type { PartitionOutcome } from '../../../domain/agent-protocol.ts';
import type { PartitionsDefinition } from '../../../domain/partition.ts';
import type { EpochMs } from '../../../domain/time.ts';
import type { SeenVersion } from '../record.ts';
import { newestAt } from './of-task.ts';
import { NO_DYNAMIC_KEYS, partitionSet, timePartOf } from './partition-set.ts';
import { timeLine } from './time-line.ts';

/** Any time: whoever made the run looked whether the partition is there. */
const AT_ANY_TIME = Date.UTC(2300, 0, 1);

/** What is known of where a version belongs. */
export interface Place {
  /** Partitions that the run was to make. */
  readonly keys?: readonly string[] | null;
  readonly dataInterval?: { readonly start: EpochMs; readonly end: EpochMs } | null;
  /** Event time that the code gave. */
  readonly saidAt?: EpochMs | null;
  /** By key, what the code gave of each. */
  readonly ofPartitions?: Readonly<Record<string, PartitionOutcome>>;
}

/** A version that belongs to a partition; the versions of an asset without stay as they are. */
export interface PlacedVersion extends SeenVersion {
  /** End of the time that the partition is of; undefined for a version of no partition. */
  readonly endAt?: EpochMs | null;
}

export function placeVersions(
  versions: readonly SeenVersion[],
  definitionOf: (assetKey: string) => PartitionsDefinition | null,
  newId: () => string,
  now: EpochMs,
): readonly PlacedVersion[] {
  return versions.flatMap((version) => {
    const definition = definitionOf(version.assetKey);
    if (definition === null) return [version];
    const keys = keysOf(definition, version, now);
    return keys.map((key, index) => {
      const place = { definition, key, many: keys.length > 1, now };
      return placeOne(version, index === 0 ? version.id : newId(), place);
    });
  });
}

/** Partitions that something recorded without them is of: those of its interval, of its instant, or the newest. */
export function keysOf(
  definition: PartitionsDefinition,
  seen: Pick<SeenVersion, 'keys' | 'dataInterval'> & { readonly partition?: string | null },
  now: EpochMs,
): readonly string[] {
  if (seen.keys) return seen.keys;
  const said = seen.partition ?? null;
  const set = partitionSet(definition, now, NO_DYNAMIC_KEYS);
  if (said !== null && set.indexOf(said) !== null) return [said];
  const instant = said === null ? Number.NaN : Date.parse(said);
  if (definition.kind === 'time' && seen.dataInterval == null && !Number.isNaN(instant)) {
    const line = timeLine(definition);
    const index = line.indexAt(instant);
    return index < 0 || index >= line.size ? [] : [line.keyAt(index)];
  }
  const newest = newestAt(definition, seen.dataInterval?.end ?? now);
  return newest === null ? [] : [newest];
}

function placeOne(
  version: SeenVersion,
  id: string,
  of: { definition: PartitionsDefinition; key: string; many: boolean; now: EpochMs },
): PlacedVersion {
  const { definition, key, many, now } = of;
  const own = version.ofPartitions?.[key];
  const end = timePartOf(definition)
    ? (partitionSet(definition, AT_ANY_TIME, NO_DYNAMIC_KEYS).interval(key)?.end ?? null)
    : null;
  const said = own?.eventTime === undefined ? Number.NaN : Date.parse(own.eventTime);
  const saidAt = Number.isNaN(said) ? (version.saidAt ?? null) : said;
  const latest = end === null ? now : Math.min(end, now);
  const value = many ? pickValue(version.value, key) : version.value;
  return {
    ...version,
    ...{ id, value, partition: key, endAt: end },
    at: Math.min(saidAt ?? latest, latest),
    ...(own?.inputs ? { inputs: own.inputs } : {}),
    metadata: own?.metadata ? { ...version.metadata, ...own.metadata } : version.metadata,
    dataVersion:
      own?.dataVersion ??
      (many ? (own?.stored ? id : dataVersionOf(value, id)) : (version.dataVersion ?? id)),
    ...(own?.stored ? { stored: own.stored } : {}),
  };
}

function pickValue(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? ((value as Readonly<Record<string, unknown>>)[key] ?? null)
    : null;
}

/** The same for the same value; a version without a value is a version of its own. */
function dataVersionOf(value: unknown, id: string): string {
  if (value === null || value === undefined) return id;
  return hashText(JSON.stringify(value) ?? '');
}

export function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
