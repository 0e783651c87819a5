/**
 * What a task that makes an asset is given of an upstream: its value, or those of the partitions that the task's
 * partitions are made from. While the upstream serves a fallback, a partition that failed gives its own last good
 * version, and one that was never made the one that is served; both are told as degraded, with the version that it is.
 */
import type { AssetInputReply, AssetValue } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import { readServedValue, type ServedValue } from '../store/asset.ts';
import type { Db } from '../store/connection.ts';
import { readDynamicKeys } from '../store/dynamic-partition.ts';
import { type PartitionValue, readPartitionValues, readSides } from '../store/partition.ts';
import { effectiveMapping, givesMany, upstreamKeys } from './partitions/mapping.ts';
import { dynamicNamesOf } from './partitions/partition-set.ts';
import { OMITTED_BYTES } from './task-ends.ts';

/** Partitions of one upstream that one task reads. */
const MAX_READ = 20_000;
const MAX_TOLD = 20;

export function createInputValues({ db, clock }: { readonly db: Db; readonly clock: Clock }) {
  /**
   * @param keys partitions that the downstream's task makes; null for an asset without
   * @param edge the upstream as the downstream's definition names it, where that is another name
   */
  return async (
    upstream: string,
    downstream: string,
    keys: readonly string[] | null,
    edge = upstream,
  ): Promise<AssetInputReply> => {
    const found = await readSides(db, upstream, downstream, edge);
    const sides = {
      upstream: found?.upstream ?? null,
      downstream: found?.downstream ?? null,
      mapping: found?.mapping ?? null,
    };
    if (sides.upstream === null) {
      const served = await readServedValue(db, upstream);
      const values = served ? [fromServed(upstream, served)] : [];
      return { many: false, values, missing: served ? [] : [''] };
    }
    const names = [sides.upstream, sides.downstream].flatMap(dynamicNamesOf);
    const moment = { now: clock.now(), dynamic: await readDynamicKeys(db, names) };
    const perKey = (keys ?? [null]).map((key) => upstreamKeys(sides, key, moment) ?? []);
    const wanted = new Set(perKey.flat());
    if (wanted.size > MAX_READ) {
      throw new SignalboxError(
        'conflict',
        `${downstream} is made from ${wanted.size} partitions of ${upstream}, of which at most ${MAX_READ} are read`,
      );
    }
    const rows = await readPartitionValues(db, upstream, [...wanted]);
    const byKey = new Map(rows.map((row) => [row.partition, row]));
    const many = givesMany(sides) || (keys?.length ?? 1) > 1;
    // What all of a growing upstream go into takes those that are there.
    const needsAll = effectiveMapping(sides).kind !== 'all';
    const missing = [...wanted].filter((key) => !byKey.has(key));
    const fallback =
      missing.length > 0 && found?.fallback ? await readServedValue(db, upstream) : undefined;
    const several = keys !== null && keys.length > 1;
    return {
      many,
      ...(several
        ? { of: Object.fromEntries(keys.map((key, index) => [key, perKey[index] ?? []])) }
        : {}),
      values: [...wanted].flatMap((key) => {
        const row = byKey.get(key);
        if (row) return [ofPartition(upstream, row, found?.fallback ?? false)];
        return fallback ? [{ ...fromServed(upstream, fallback), partition: key }] : [];
      }),
      missing: fallback || !needsAll ? [] : missing.slice(0, MAX_TOLD),
    };
  };
}

function fromServed(key: string, row: ServedValue): AssetValue {
  const value = toAssetValue(key, row, row.data_version ?? row.id);
  if (!row.degraded) return value;
  // A fallback is a copy of the last good version, and names it.
  const { of } = row.metadata;
  const id = typeof of === 'string' ? of : row.id;
  return { ...value, fallbackOf: { id, partition: row.partition, at: value.at } };
}

/** The last good version of a partition stays its value when it cannot be made anew; while a fallback is served it is one. */
function ofPartition(key: string, row: PartitionValue, fallback: boolean): AssetValue {
  const value = toAssetValue(key, row, row.data_version);
  if (!row.degraded && !(fallback && row.failed)) return value;
  const { id, partition, failed } = row;
  return {
    ...{ ...value, degraded: true },
    ...(failed ? { fallbackOf: { id, partition, at: value.at } } : {}),
  };
}

function toAssetValue(
  key: string,
  row: ServedValue | PartitionValue,
  dataVersion: string,
): AssetValue {
  refuseOmitted(key, row.metadata);
  return {
    value: row.value,
    degraded: row.degraded,
    at: row.at.toISOString(),
    stored: row.stored,
    partition: row.partition,
    id: row.id,
    dataVersion,
  };
}

/** @throws SignalboxError for a value that was too long to keep */
export function refuseOmitted(key: string, metadata: Readonly<Record<string, unknown>>): void {
  const omitted = metadata[OMITTED_BYTES];
  if (typeof omitted !== 'number') return;
  throw new SignalboxError(
    'conflict',
    `the value of ${key} has ${omitted} bytes, too many to hand on; keep it outside and return where it is`,
  );
}
