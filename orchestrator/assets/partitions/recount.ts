/**
 * Takes the sums of assets anew after their definition, or a list that they are cut by, has changed: what was made
 * of keys that there are no more counts for nothing, and counts again when they come back.
 */

import type { PartitionsDefinition } from '../../../domain/partition.ts';
import { canonicalJson } from '../../../domain/run.ts';
import type { EpochMs } from '../../../domain/time.ts';
import type { Tx } from '../../store/connection.ts';
import { readDynamicKeys } from '../../store/dynamic-partition.ts';
import { readKeysOf, recountPartitions, sumPartitions } from '../../store/partition.ts';
import { dynamicNamesOf, partitionSet } from './partition-set.ts';
import { wholeness } from './record.ts';

/** Any time: a partition whose time has not come was never made. */
const AT_ANY_TIME = Date.UTC(2300, 0, 1);

/** The rows of the assets are locked. */
export async function recount(
  tx: Tx,
  definitions: ReadonlyMap<string, PartitionsDefinition>,
  now: EpochMs,
): Promise<void> {
  const assets = [...definitions.keys()];
  if (assets.length === 0) return;
  const dynamic = await readDynamicKeys(tx, [...definitions.values()].flatMap(dynamicNamesOf));
  const sets = new Map(
    [...definitions].map(([key, of]) => [key, partitionSet(of, AT_ANY_TIME, dynamic)]),
  );
  const keys = await readKeysOf(tx, assets);
  const gone = keys.filter(([asset, key]) => sets.get(asset)?.indexOf(key) === null);
  await recountPartitions(tx, assets, gone);
  const sums = [...definitions].map(([key, of]) => ({
    ...{ key, made: 0, failed: 0, last_id: null, end_at: null },
    ...wholeness(of, dynamic, now),
  }));
  await sumPartitions(tx, sums);
}

/** Definitions that are not what was stored before. */
export function changedDefinitions(
  before: ReadonlyMap<string, PartitionsDefinition>,
  after: ReadonlyMap<string, PartitionsDefinition>,
): ReadonlyMap<string, PartitionsDefinition> {
  return new Map(
    [...after].filter(([key, of]) => canonicalJson(before.get(key) ?? null) !== canonicalJson(of)),
  );
}
