/**
 * Impact: what suffers where an asset, or one of its partitions, is late, wrong or gone: assets below it with the
 * partitions that are made from it, workflows that read them, owners, what is critical, and when which policy breaks
 * if nothing new comes.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { AssetImpact } from '../../domain/partition.ts';
import { type Clock, type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { readAssetTaskRows } from '../store/asset-task.ts';
import type { Db } from '../store/connection.ts';
import { readDynamicKeys } from '../store/dynamic-partition.ts';
import { type ImpactRow, readBelow, readEdgesAmong, readImpactRows } from '../store/lineage.ts';
import { dynamicNamesOf, partitionSet } from './partitions/partition-set.ts';
import { spreadPartitions } from './partitions/spread.ts';
import { effectivePolicy } from './policy.ts';

const MAX_DEPTH = 200;

export function createImpact(db: Db, clock: Clock) {
  /** @throws SignalboxError `not-found`, `invalid-request` for a partition that there is not */
  return async (key: string, partition: string | null): Promise<AssetImpact> => {
    const below = await readBelow(db, [key], MAX_DEPTH);
    const [rows, edges, tasks] = await Promise.all([
      readImpactRows(db, below),
      readEdgesAmong(db, below),
      readAssetTaskRows(db, below),
    ]);
    const byKey = new Map(rows.map((row) => [row.key, row]));
    const own = byKey.get(key);
    if (!own) throw new SignalboxError('not-found', `asset ${key}`);
    const names = rows.flatMap((row) => dynamicNamesOf(row.partitions));
    const moment = { now: clock.now(), dynamic: await readDynamicKeys(db, names) };
    if (partition !== null) {
      const set = own.partitions && partitionSet(own.partitions, moment.now, moment.dynamic);
      if (!set || set.indexOf(partition) === null) {
        throw new SignalboxError('invalid-request', `${key} has no partition ${partition}`);
      }
    }
    const definitions = new Map(rows.map((row) => [row.key, row.partitions]));
    const affected =
      partition === null
        ? {}
        : spreadPartitions({ [key]: [partition] }, { definitions, edges, moment });
    const depths = depthsOf(key, edges);
    const assets = below
      .filter((one) => one !== key)
      .map((one) => {
        const keys = affected[one] ?? [];
        const row = byKey.get(one);
        return {
          ...{ key: one, depth: depths.get(one) ?? 0 },
          critical: row ? policyOf(row).critical : false,
          owners: row?.owners ?? [],
          partitions: row?.partitions && partition !== null ? keys.length : null,
          firstPartition: keys[0] ?? null,
          lastPartition: keys.at(-1) ?? null,
          staleAt: row ? staleAt(row) : null,
        };
      });
    const all = [own, ...assets.flatMap((asset) => byKey.get(asset.key) ?? [])];
    return {
      key,
      assets,
      workflows: tasks.map(({ workflow, task, asset, role }) => ({ workflow, task, asset, role })),
      owners: [...new Set(all.flatMap((row) => row.owners))].sort(),
      critical: all.filter((row) => policyOf(row).critical).map((row) => row.key),
      policiesAtRisk: all
        .flatMap((row) => {
          const at = staleAt(row);
          return at === null ? [] : [{ key: row.key, staleAt: at }];
        })
        .sort((a, b) => (a.staleAt < b.staleAt ? -1 : 1)),
    };
  };
}

function policyOf(row: ImpactRow) {
  return effectivePolicy(row.declared_policy, row.set_policy);
}

/** When its age breaks its policy, if nothing new comes; null without a limit or without data. */
function staleAt(row: ImpactRow): string | null {
  const { failAfterMs } = policyOf(row);
  const at: EpochMs | null = (row.complete_at ?? row.computed_at)?.getTime() ?? null;
  return failAfterMs === null || at === null ? null : toRfc3339(at + failAfterMs);
}

/** Levels below the asset, the nearest way counted. */
function depthsOf(
  key: string,
  edges: readonly { readonly upstream: string; readonly downstream: string }[],
): ReadonlyMap<string, number> {
  const below = Map.groupBy(edges, (edge) => edge.upstream);
  const depths = new Map([[key, 0]]);
  for (const [from, depth] of depths) {
    for (const { downstream } of below.get(from) ?? []) {
      if (!depths.has(downstream)) depths.set(downstream, depth + 1);
    }
  }
  return depths;
}
