/**
 * Recording observations. Where nobody says how new the data is, a change of its version does: it changed since the last
 * look, and not before that. An observation that tells neither moves no freshness.
 */
import type { Observation } from '../../domain/asset.ts';
import type { AssetEvent } from '../../domain/events.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import {
  insertObservations,
  type ObservationRow,
  readLastSeen,
} from '../store/asset-observation.ts';
import type { Tx } from '../store/connection.ts';

export interface SeenObservation {
  readonly id: string;
  readonly assetKey: string;
  /** Event time; null where nobody says. */
  readonly at: EpochMs | null;
  readonly runId: string | null;
  readonly dataVersion: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly idempotencyKey: string | null;
}

type Told = Pick<AssetEvent, 'type' | 'at' | 'partition'> & {
  readonly detail: Readonly<Record<string, unknown>>;
};

/**
 * Records observations of assets whose rows are locked.
 * @returns what to tell of those that are new
 */
export async function recordObservations(
  tx: Tx,
  observations: readonly SeenObservation[],
  now: EpochMs,
): Promise<readonly { of: SeenObservation; event: Told }[]> {
  if (observations.length === 0) return [];
  const last = new Map(
    [...(await readLastSeen(tx, [...new Set(observations.map((one) => one.assetKey))]))].map(
      ([key, { dataVersion, at, changedAt }]) => [
        key,
        { dataVersion, at: at?.getTime() ?? null, changedAt: changedAt?.getTime() ?? null },
      ],
    ),
  );
  const dated = observations.map((one) => {
    const before = last.get(one.assetKey) ?? { dataVersion: null, at: null, changedAt: null };
    const changed = one.dataVersion !== null && one.dataVersion !== before.dataVersion;
    const at = one.at ?? (changed ? now : one.dataVersion === null ? null : before.at);
    // Where nobody tells a version, newer data is told by its time.
    const newer =
      one.dataVersion === null && at !== null && at > (before.at ?? Number.NEGATIVE_INFINITY);
    const changedAt = changed || newer ? now : (before.changedAt ?? now);
    last.set(one.assetKey, { dataVersion: one.dataVersion, at: at ?? before.at, changedAt });
    return { of: one, at, changed, changedAt };
  });
  const inserted = await insertObservations(
    tx,
    dated.map(({ of, at, changedAt }) => ({
      ...{ id: of.id, asset_key: of.assetKey, at: at === null ? null : toRfc3339(at) },
      ...{ recorded_at: new Date(now).toISOString(), run_id: of.runId },
      ...{ data_version: of.dataVersion, metadata: of.metadata },
      changed_at: toRfc3339(changedAt),
      idempotency_key: of.idempotencyKey,
    })),
  );
  return dated.flatMap(({ of, at, changed }) => {
    if (!inserted.has(of.id) || at === null) return [];
    const detail = { provenance: 'observed', dataVersion: of.dataVersion, changed };
    return [{ of, event: { type: 'observed' as const, at, partition: '', detail } }];
  });
}

export function toObservation(row: ObservationRow): Observation {
  return {
    ...{ id: row.id, assetKey: row.asset_key, at: row.at?.toISOString() ?? null },
    ...{ recordedAt: row.recorded_at.toISOString(), runId: row.run_id },
    ...{ dataVersion: row.data_version, metadata: row.metadata },
  };
}
