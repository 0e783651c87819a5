/** What runbooks do with assets: find out what lies below, serve the last good version, have assets made anew. */

import type { Materialization } from '../../domain/asset.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { AssetLevers, Changed } from '../../domain/levers.ts';
import type { EpochMs } from '../../domain/time.ts';
import { appendAssetEvents } from '../events/append.ts';
import type { AssetService } from '../service.ts';
import { findAsset, findLastGood, findMaterialization } from '../store/asset.ts';
import { insertFallback, lockAssets, readFallbackState } from '../store/asset-version.ts';
import type { Tx } from '../store/connection.ts';
import { readBelow, readEdgesAmong } from '../store/lineage.ts';
import { type MaterializeDeps, materialize } from './materialize.ts';
import { inDependencyOrder } from './order.ts';
import { judgeAt } from './partitions/freshness.ts';
import { effectivePolicy } from './policy.ts';
import { toMaterialization } from './shown.ts';

/** Levels that are followed; more would be a circle. */
const MAX_DEPTH = 200;

export interface AssetLeverDeps extends MaterializeDeps {
  readonly assets: AssetService;
  newId(): string;
  changed(topic: 'asset', id: string): void;
}

export function createAssetLevers(deps: AssetLeverDeps): AssetLevers {
  const { db, clock } = deps;
  return {
    get: async (key) => ((await findAsset(db, key)) ? deps.assets.get(key) : null),
    async downstream(key, depth) {
      const keys = (await readBelow(db, [key], Math.min(depth, MAX_DEPTH))).filter(
        (below) => below !== key,
      );
      return inDependencyOrder(keys, await readEdgesAmong(db, keys));
    },
    async lastGood(key) {
      const row = await findLastGood(db, key);
      return row ? toMaterialization(row) : null;
    },
    async serveFallback(key, reason, idempotencyKey) {
      const id = deps.newId();
      const result = await db.transaction((tx) =>
        serve(tx, { id, key, reason, idempotencyKey, now: clock.now() }),
      );
      if (result.outcome === 'done') deps.changed('asset', key);
      return result;
    },
    materialize: (keys, idempotencyKey) =>
      materialize(deps, {
        keys,
        downstream: false,
        skipForeign: true,
        idempotencyKey,
        trigger: 'runbook',
      }),
  };
}

interface Serve {
  readonly id: string;
  readonly key: string;
  readonly reason: string;
  readonly idempotencyKey: string;
  readonly now: EpochMs;
}

/** An asset that is fresh and did not fail since needs none: whoever planned this saw another state. */
async function serve(
  tx: Tx,
  { id, key, reason, idempotencyKey, now }: Serve,
): Promise<Changed<{ materialization: Materialization }>> {
  const lastGood = await findLastGood(tx, key);
  if (!lastGood) throw new SignalboxError('conflict', `${key} has no good version to serve`);
  const asset = (await lockAssets(tx, [key], new Date(now))).get(key);
  const state = await readFallbackState(tx, key, idempotencyKey);
  const standing = state.recorded_id ?? (state.provenance === 'fallback' ? state.served_id : null);
  if (standing !== null) {
    return { outcome: 'already-so', materialization: await read(tx, standing) };
  }
  const policy = effectivePolicy(asset?.declared_policy ?? {}, asset?.set_policy ?? {});
  const freshness = judgeAt(now)({
    ...{ policy, fallback: false, partitions: asset?.partitions ?? null },
    ...{ made: asset?.partitions_made ?? 0, computedAtMs: asset?.computed_at?.getTime() ?? null },
    completeAtMs: asset?.complete_at?.getTime() ?? null,
  });
  const failing = asset?.last_failed_at !== null || asset.fallback;
  if (freshness === 'fresh' && !failing) return { outcome: 'state-changed', found: freshness };
  await insertFallback(tx, {
    id,
    key,
    lastGoodId: lastGood.id,
    reason,
    idempotencyKey,
    now: new Date(now),
  });
  const materialization = await read(tx, id);
  const detail = {
    provenance: 'fallback',
    reason,
    of: lastGood.id,
    source: asset?.source ?? null,
    critical: policy.critical,
    owners: asset?.owners ?? [],
  };
  await appendAssetEvents(
    tx,
    [
      {
        at: lastGood.at.getTime(),
        recordedAt: now,
        assetKey: key,
        type: 'fallback-served',
        runId: '',
        partition: lastGood.partition ?? '',
        detail: JSON.stringify(detail),
      },
    ],
    now,
  );
  return { outcome: 'done', materialization };
}

async function read(tx: Tx, id: string): Promise<Materialization> {
  const row = await findMaterialization(tx, id);
  if (!row) throw new SignalboxError('not-found', `materialization ${id}`);
  return toMaterialization(row);
}
