/** Assets and their versions in the form in which they are shown. */
import {
  type Asset,
  type Freshness,
  type FreshnessPolicy,
  type Materialization,
  splitAssetKey,
} from '../../domain/asset.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { AssetRow, MaterializationRow } from '../store/asset.ts';
import { describePolicy, effectivePolicy } from './policy.ts';

export type JudgeFreshness = (
  policy: FreshnessPolicy,
  computedAtMs: EpochMs | null,
  fallback: boolean,
) => Freshness;

export function toAsset(row: AssetRow, judge: JudgeFreshness): Asset {
  const policy = effectivePolicy(row.declared_policy, row.set_policy);
  const { served } = row;
  return {
    key: row.key,
    ...splitAssetKey(row.key),
    description: row.description,
    owners: row.owners,
    external: !row.made_here,
    freshness: judge(policy, row.computed_at?.getTime() ?? null, row.fallback),
    lastMaterialization: served && {
      id: served.id,
      assetKey: served.asset_key,
      at: new Date(served.at).toISOString(),
      recordedAt: new Date(served.recorded_at).toISOString(),
      runId: served.run_id,
      partition: served.partition,
      provenance: served.provenance,
      metadata: served.metadata,
    },
    policy: describePolicy(policy),
    dependsOn: row.depends_on,
    checks: toChecks(row),
  };
}

/** Checks that are declared, and those that were only ever seen. */
function toChecks({ checks, check_states }: AssetRow): Asset['checks'] {
  const states = new Map(check_states.map((state) => [state.name, state]));
  const declared = checks.map(({ name, blocking }) => {
    const state = states.get(name);
    states.delete(name);
    const at = state ? new Date(state.at).toISOString() : null;
    return { name, passed: state?.passed ?? null, blocking, at };
  });
  const seen = [...states.values()].map(({ name, passed, blocking, at }) => ({
    name,
    passed,
    blocking,
    at: new Date(at).toISOString(),
  }));
  return [...declared, ...seen];
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
  };
}
