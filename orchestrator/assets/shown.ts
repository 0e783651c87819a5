/** Assets and their versions in the form in which they are shown. */
import { type Asset, type Materialization, splitAssetKey } from '../../domain/asset.ts';
import type { AutomationSummary } from '../../domain/automation.ts';
import type { StaleCause } from '../../domain/partition.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { AssetRow, MaterializationRow } from '../store/asset.ts';
import type { AssetTaskRow } from '../store/asset-task.ts';
import type { Judge, Standing } from './partitions/freshness.ts';
import { unpackInputs } from './partitions/inputs.ts';
import { type DynamicKeys, partitionSet } from './partitions/partition-set.ts';
import { describePolicy, effectivePolicy } from './policy.ts';
import { checksOf } from './shown-checks.ts';

/** What is shown of assets beside their rows. */
export interface Surroundings {
  readonly now: EpochMs;
  readonly judge: Judge;
  readonly dynamic: DynamicKeys;
  readonly causes: ReadonlyMap<string, readonly StaleCause[]>;
  /** Of those that are automated. */
  readonly automation: ReadonlyMap<string, AutomationSummary>;
  /** By asset key. */
  readonly tasks: ReadonlyMap<string, readonly AssetTaskRow[]>;
}

function standingOf(row: AssetRow): Standing {
  return {
    policy: effectivePolicy(row.declared_policy, row.set_policy),
    computedAtMs: row.computed_at?.getTime() ?? null,
    fallback: row.fallback,
    partitions: row.partitions,
    made: row.partitions_made,
    completeAtMs: row.complete_at?.getTime() ?? null,
  };
}

export function toAsset(row: AssetRow, around: Surroundings): Asset {
  const policy = effectivePolicy(row.declared_policy, row.set_policy);
  const { served } = row;
  const freshness = around.judge(standingOf(row));
  const tasksOf = (role: AssetTaskRow['role']) =>
    (around.tasks.get(row.key) ?? []).flatMap(({ workflow, task, role: of }) =>
      of === role ? [{ workflow, task }] : [],
    );
  return {
    key: row.key,
    ...splitAssetKey(row.key),
    description: row.description,
    owners: row.owners,
    external: !row.made_here,
    freshness,
    lastMaterialization: served && {
      id: served.id,
      assetKey: served.asset_key,
      at: new Date(served.at).toISOString(),
      recordedAt: new Date(served.recorded_at).toISOString(),
      runId: served.run_id,
      partition: served.partition,
      provenance: served.provenance,
      metadata: served.metadata,
      dataVersion: served.data_version ?? served.id,
      codeVersion: served.code_version,
      stored: served.stored,
    },
    policy: describePolicy(policy),
    dependsOn: row.depends_on,
    ...checksOf(row),
    partitions: toPartitions(row, around),
    codeVersion: row.code_version,
    staleCauses: allCauses(row, freshness, around),
    automation: around.automation.get(row.key) ?? null,
    producedBy: tasksOf('produces'),
    consumedBy: tasksOf('consumes'),
  };
}

function toPartitions(
  row: AssetRow,
  { now, dynamic }: Surroundings,
): NonNullable<Asset['partitions']> | null {
  const { partitions: definition, partitions_made: made, partitions_failed: failed } = row;
  if (definition === null) return null;
  const set = partitionSet(definition, now, dynamic);
  return {
    definition,
    totals: {
      ...{ total: set.size, failed },
      materialized: Math.min(made, set.size),
      missing: Math.max(0, set.size - made),
    },
    newestExpected: set.size === 0 ? null : set.at(set.size - 1),
  };
}

/** What time alone makes stale comes first, then what code and upstreams changed. */
function allCauses(
  row: AssetRow,
  freshness: Asset['freshness'],
  { causes, now, dynamic }: Surroundings,
): readonly StaleCause[] {
  const known = causes.get(row.key) ?? [];
  if (freshness !== 'stale') return known;
  const partition = row.partitions && newestMissing(row, now, dynamic);
  const own: StaleCause = partition
    ? {
        ...{ reason: 'partition-missing', upstream: null, partition },
        detail: `the partition ${partition} should be there by now`,
      }
    : {
        ...{ reason: 'too-old', upstream: null, partition: null },
        detail: 'its data is older than its policy allows',
      };
  return [own, ...known];
}

/** The newest partition that should be there, where it is not. */
function newestMissing(row: AssetRow, now: EpochMs, dynamic: DynamicKeys): string | null {
  if (row.partitions === null) return null;
  const set = partitionSet(row.partitions, now, dynamic);
  if (set.size === 0) return null;
  const newest = set.at(set.size - 1);
  const end = set.interval(newest)?.end ?? null;
  const completeAt = row.complete_at?.getTime() ?? null;
  return end !== null && completeAt !== null && completeAt >= end ? null : newest;
}

export function toMaterialization(row: MaterializationRow): Materialization {
  return {
    id: row.id,
    assetKey: row.asset_key,
    at: row.at.toISOString(),
    recordedAt: row.recorded_at.toISOString(),
    runId: row.run_id,
    partition: row.partition,
    provenance: row.provenance,
    metadata: row.metadata,
    dataVersion: row.data_version ?? row.id,
    codeVersion: row.code_version,
    inputs: unpackInputs(row.inputs ?? []),
    stored: row.stored,
  };
}
