/** Turns ends of asset tasks into what is recorded of assets. */
import { isResultReference } from '../../domain/result.ts';
import type { EpochMs } from '../../domain/time.ts';
import { readLook } from './looks.ts';
import type { SeenObservation } from './observations.ts';
import { type AssetTaskEnd, failedBlockingCheck } from './outcome.ts';
import { hashText } from './partitions/place.ts';
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
  const observations: SeenObservation[] = [];
  for (const end of [...ends].sort((a, b) => a.at - b.at)) {
    const look = readLook(end, newId, now);
    if (look !== null) {
      checks.push(...look.checks);
      if (look.observation !== null) observations.push(look.observation);
      continue;
    }
    const blocked = failedBlockingCheck(end.outcome);
    const good = end.state === 'succeeded' && blocked === null;
    const published = good ? null : publishedOf(end);
    if (good) versions.push(toVersion(end, newId(), now));
    else if (published) versions.push(toVersion(published, newId(), now));
    if (end.retried === true) continue;
    const failure = toFailure(published ? withoutPublished(end) : end, blocked, now);
    if (failure) failures.push(failure);
    for (const check of end.outcome?.checks ?? []) {
      checks.push({ ...check, assetKey: end.assetKey, runId: end.runId, at: now });
    }
  }
  return { versions, failures, checks, observations };
}

/** Of an attempt that broke off: the end of what it published before, one partition after the other. */
function publishedOf(end: AssetTaskEnd): AssetTaskEnd | null {
  const { published = [], ...outcome } = end.outcome ?? { metadata: {}, checks: [] };
  const keys = published.filter((key) => end.partitions?.includes(key));
  return keys.length === 0 ? null : { ...end, result: null, outcome, partitions: keys };
}

function withoutPublished(end: AssetTaskEnd): AssetTaskEnd {
  const published = new Set(end.outcome?.published);
  return { ...end, partitions: end.partitions?.filter((key) => !published.has(key)) ?? null };
}

function toVersion(end: AssetTaskEnd, id: string, now: EpochMs): SeenVersion {
  const json = JSON.stringify(end.result);
  const bytes = json === undefined ? 0 : Buffer.byteLength(json);
  const metadata = end.outcome?.metadata ?? {};
  const kept = bytes <= MAX_VALUE_BYTES;
  const hasValue = end.result !== null && json !== undefined;
  const said = saidTime(end);
  return {
    id,
    assetKey: end.assetKey,
    // What the code says, else the end of the interval that the data is of, else when it is recorded: agents' clocks differ.
    at: said ?? end.dataInterval?.end ?? now,
    ...{ saidAt: said, keys: end.partitions ?? keysSaid(end), dataInterval: end.dataInterval },
    ...(end.outcome?.partitions ? { ofPartitions: end.outcome.partitions } : {}),
    // Where the value is kept elsewhere, the result only says where.
    dataVersion:
      end.outcome?.dataVersion ??
      (hasValue && !end.outcome?.stored ? hashOf(end.result, json) : id),
    ...(end.outcome?.stored ? { stored: end.outcome.stored } : {}),
    codeVersion: end.codeVersion ?? null,
    inputs: end.outcome?.inputs ?? null,
    runId: end.runId,
    partition: end.dataInterval && new Date(end.dataInterval.start).toISOString(),
    provenance: end.marked === true ? 'marked' : 'computed',
    metadata: kept ? metadata : { ...metadata, [OMITTED_BYTES]: bytes },
    value: kept ? end.result : null,
    idempotencyKey: null,
  };
}

/** Partitions that the attempt names, of a run that is of none. */
function keysSaid({ outcome }: AssetTaskEnd): readonly string[] | null {
  const keys = Object.keys(outcome?.partitions ?? {});
  return keys.length === 0 ? null : keys;
}

const HASH_LENGTH = 16;

/** Of a value that lies elsewhere, the hash of what lies there. */
function hashOf(value: unknown, json: string): string {
  return isResultReference(value) ? value.sha256.slice(0, HASH_LENGTH) : hashText(json);
}

function saidTime(end: AssetTaskEnd): EpochMs | null {
  const said =
    end.outcome?.eventTime === undefined ? Number.NaN : Date.parse(end.outcome.eventTime);
  return Number.isNaN(said) ? null : said;
}

function toFailure(end: AssetTaskEnd, blocked: string | null, at: EpochMs): SeenFailure | null {
  const { assetKey, runId, state, dataInterval } = end;
  const of = { assetKey, runId, at, keys: end.partitions ?? null, dataInterval };
  if (state === 'cancelled' || state === 'skipped') return null;
  if (state === 'upstream-failed') {
    const waited = { name: 'UpstreamFailed', message: 'something that it depends on failed' };
    return { ...of, state, error: end.error ?? waited };
  }
  if (state !== 'succeeded') return { ...of, state, error: end.error };
  if (blocked === null) return null;
  const error = { name: 'CheckFailed', message: `the blocking check ${blocked} did not pass` };
  return { ...of, state: 'check-failed', error };
}
