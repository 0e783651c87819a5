/** Turns ends of asset tasks into what is recorded of assets. */
import type { EpochMs } from '../../domain/time.ts';
import { type AssetTaskEnd, failedBlockingCheck } from './outcome.ts';
import type { SeenCheck, SeenFailure, SeenOfAssets, SeenVersion } from './record.ts';

/** Longest value, as JSON, that is kept for downstream assets. */
const MAX_VALUE_BYTES = 8 * 1024 * 1024;

/** Metadata of a version whose value was too long to keep: its size. */
export const OMITTED_BYTES = 'valueOmittedBytes';

export function readTaskEnds(
  ends: readonly AssetTaskEnd[],
  newId: () => string,
  now: EpochMs,
): SeenOfAssets {
  const versions: SeenVersion[] = [];
  const failures: SeenFailure[] = [];
  const checks: SeenCheck[] = [];
  for (const end of [...ends].sort((a, b) => a.at - b.at)) {
    const blocked = failedBlockingCheck(end.outcome);
    if (end.state === 'succeeded' && blocked === null) versions.push(toVersion(end, newId(), now));
    const failure = toFailure(end, blocked, now);
    if (failure) failures.push(failure);
    for (const check of end.outcome?.checks ?? []) {
      checks.push({ ...check, assetKey: end.assetKey, runId: end.runId, at: now });
    }
  }
  return { versions, failures, checks };
}

function toVersion(end: AssetTaskEnd, id: string, now: EpochMs): SeenVersion {
  const json = JSON.stringify(end.result);
  const bytes = json === undefined ? 0 : Buffer.byteLength(json);
  const metadata = end.outcome?.metadata ?? {};
  const kept = bytes <= MAX_VALUE_BYTES;
  return {
    id,
    assetKey: end.assetKey,
    at: eventTime(end, now),
    runId: end.runId,
    partition: end.dataInterval && new Date(end.dataInterval.start).toISOString(),
    provenance: 'computed',
    metadata: kept ? metadata : { ...metadata, [OMITTED_BYTES]: bytes },
    value: kept ? end.result : null,
    idempotencyKey: null,
  };
}

/** What the code says, else the end of the interval that the data is of, else when it is recorded: agents' clocks differ. */
function eventTime(end: AssetTaskEnd, now: EpochMs): EpochMs {
  const said =
    end.outcome?.eventTime === undefined ? Number.NaN : Date.parse(end.outcome.eventTime);
  if (!Number.isNaN(said)) return said;
  return end.dataInterval?.end ?? now;
}

function toFailure(end: AssetTaskEnd, blocked: string | null, at: EpochMs): SeenFailure | null {
  const { assetKey, runId, state } = end;
  if (state === 'cancelled' || state === 'skipped') return null;
  if (state === 'upstream-failed') {
    const waited = { name: 'UpstreamFailed', message: 'something that it depends on failed' };
    return { assetKey, runId, at, state, error: end.error ?? waited };
  }
  if (state !== 'succeeded') return { assetKey, runId, at, state, error: end.error };
  if (blocked === null) return null;
  const error = { name: 'CheckFailed', message: `the blocking check ${blocked} did not pass` };
  return { assetKey, runId, at, state: 'check-failed', error };
}
