/** Ends of tasks that made nothing: they checked what an asset has, or looked at data made elsewhere. */
import type { EpochMs } from '../../domain/time.ts';
import type { SeenObservation } from './observations.ts';
import type { AssetTaskEnd } from './outcome.ts';
import type { SeenCheck } from './record.ts';

export interface Look {
  readonly checks: readonly SeenCheck[];
  readonly observation: SeenObservation | null;
}

/**
 * What a look tells; null for the end of a task that makes the asset. One that broke off tells nothing: that nobody
 * could look says nothing of the data.
 */
export function readLook(end: AssetTaskEnd, newId: () => string, now: EpochMs): Look | null {
  const { outcome } = end;
  const mode = outcome?.mode ?? (end.looked === true ? 'check' : 'materialize');
  if (mode === 'materialize') return null;
  const assetKey = outcome?.of ?? end.assetKey;
  const checks = (outcome?.checks ?? []).map((check) => ({
    ...check,
    ...{ assetKey, runId: end.runId, at: now },
  }));
  if (mode === 'check' || end.state !== 'succeeded') return { checks, observation: null };
  const said = outcome?.eventTime === undefined ? Number.NaN : Date.parse(outcome.eventTime);
  return {
    checks,
    observation: {
      ...{ id: newId(), assetKey, at: Number.isNaN(said) ? null : said, runId: end.runId },
      ...{ dataVersion: outcome?.dataVersion ?? null, metadata: outcome?.metadata ?? {} },
      idempotencyKey: null,
    },
  };
}
