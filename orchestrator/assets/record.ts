/**
 * Recording what became of assets, for code of ours and for what was seen elsewhere alike: versions, failures,
 * checks, and the events that tell of them, in one transaction and a few statements whatever their number.
 *
 * The newest version by event time is the one that is served and that freshness looks at: an older one (a
 * backfill) is kept but changes neither. Whatever is computed from a fallback is degraded as well. What was
 * recorded before under the same key is not recorded, and not told of, again.
 */
import type { CheckSeverity, StoredVersion } from '../../domain/asset.ts';
import type { AssetEvent } from '../../domain/events.ts';
import type { InputVersion } from '../../domain/partition.ts';
import type { EpochMs } from '../../domain/time.ts';
import { appendAssetEvents } from '../events/append.ts';
import { insertCheckResults } from '../store/asset-check.ts';
import {
  type CheckRecord,
  insertVersions,
  type LockedAsset,
  lockAssets,
  setFailures,
  setNewest,
  upsertChecks,
  type VersionRecord,
} from '../store/asset-version.ts';
import type { Tx } from '../store/connection.ts';
import { recordObservations, type SeenObservation } from './observations.ts';
import { packInputs } from './partitions/inputs.ts';
import { type Place, type PlacedVersion, placeVersions } from './partitions/place.ts';
import { recordPartitionFailures, recordPartitions } from './partitions/record.ts';
import { effectivePolicy } from './policy.ts';

export interface SeenVersion extends Place {
  readonly id: string;
  readonly assetKey: string;
  /** Event time of the data. */
  readonly at: EpochMs;
  readonly runId: string | null;
  readonly partition: string | null;
  readonly provenance: 'computed' | 'observed' | 'marked';
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly value: unknown;
  readonly idempotencyKey: string | null;
  /** Unless told it is a version of its own. */
  readonly dataVersion?: string;
  readonly codeVersion?: string | null;
  /** Null where nobody says what it was made from. */
  readonly inputs?: readonly InputVersion[] | null;
  /** Where an IO manager keeps it. */
  readonly stored?: StoredVersion;
}

export interface SeenFailure extends Pick<Place, 'keys' | 'dataInterval'> {
  readonly assetKey: string;
  readonly at: EpochMs;
  readonly runId: string | null;
  /** `failed`, `upstream-failed`, `check-failed`. */
  readonly state: string;
  readonly error: unknown;
}

export interface SeenCheck {
  readonly assetKey: string;
  readonly name: string;
  readonly passed: boolean;
  readonly blocking: boolean;
  /** `error` unless told. */
  readonly severity?: CheckSeverity;
  readonly at: EpochMs;
  readonly runId: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface SeenOfAssets {
  readonly versions: readonly SeenVersion[];
  readonly failures: readonly SeenFailure[];
  readonly checks: readonly SeenCheck[];
  readonly observations?: readonly SeenObservation[];
}

type Event = Omit<AssetEvent, 'id'>;
type Assets = ReadonlyMap<string, LockedAsset>;

/** @returns keys of the assets that changed */
export async function recordAssets(
  tx: Tx,
  seen: SeenOfAssets,
  newId: () => string,
  now: EpochMs,
): Promise<readonly string[]> {
  const { observations = [] } = seen;
  const all = [...seen.versions, ...seen.failures, ...seen.checks, ...observations];
  const keys = all.map((item) => item.assetKey);
  if (keys.length === 0) return [];
  const assets = await lockAssets(tx, keys, new Date(now));
  const partitionsOf = (key: string) => assets.get(key)?.partitions ?? null;
  const versions = placeVersions(seen.versions, partitionsOf, newId, now);
  const failures = await recordPartitionFailures(tx, seen.failures, partitionsOf, now);
  const events = [
    ...(await recordVersions(tx, versions, assets, now)),
    ...(await recordChecks(tx, seen.checks, assets, newId, now)),
    ...(await recordFailures(tx, failures, assets, now)),
    ...(await recordObservations(tx, observations, now)).map(({ of, event }) =>
      toEvent(assets, of, now, event),
    ),
  ];
  await appendAssetEvents(tx, events, now);
  return [...new Set(events.map((event) => event.assetKey))];
}

async function recordVersions(
  tx: Tx,
  versions: readonly PlacedVersion[],
  assets: Assets,
  now: EpochMs,
): Promise<Event[]> {
  if (versions.length === 0) return [];
  const degradedBy = judgeDegraded(versions, assets);
  const record = (version: PlacedVersion): VersionRecord => {
    const inputs = degradedBy.get(version.id) ?? [];
    return {
      id: version.id,
      asset_key: version.assetKey,
      at: iso(version.at),
      recorded_at: iso(now),
      run_id: version.runId,
      partition: version.partition,
      provenance: version.provenance,
      metadata: inputs.length > 0 ? { ...version.metadata, degradedBy: inputs } : version.metadata,
      // Values of partitions stand with the partition, where the next one takes their place.
      value: version.endAt === undefined ? version.value : null,
      idempotency_key: version.idempotencyKey,
      data_version: version.dataVersion ?? null,
      code_version: version.codeVersion ?? null,
      inputs: version.inputs ? packInputs(version.inputs) : null,
      stored: version.stored ?? null,
    };
  };
  const inserted = await insertVersions(tx, versions.map(record));
  const fresh = versions.filter((version) => inserted.has(version.id));
  const isDegraded = (id: string) => (degradedBy.get(id) ?? []).length > 0;
  const partitionsOf = (key: string) => assets.get(key)?.partitions ?? null;
  await recordPartitions(tx, fresh, isDegraded, partitionsOf, now);
  const newest = newestOf(fresh, assets, now);
  if (newest.length > 0) {
    const records = newest.map(({ id, assetKey, at }) => ({
      key: assetKey,
      id,
      computed_at: iso(Math.min(at, now)),
      degraded: (degradedBy.get(id) ?? []).length > 0,
    }));
    await setNewest(tx, records, new Date(now));
  }
  return fresh.map((version) => {
    const inputs = degradedBy.get(version.id) ?? [];
    return toEvent(assets, version, now, {
      type: version.provenance === 'observed' ? 'observed' : 'materialized',
      at: version.at,
      partition: version.partition ?? '',
      detail: {
        provenance: version.provenance,
        ...(inputs.length > 0 ? { degradedBy: inputs } : {}),
        ...(version.metadata['rowCount'] === undefined
          ? {}
          : { rowCount: version.metadata['rowCount'] }),
        ...factsOf(version),
      },
    });
  });
}

/** What is compared over time: rows, bytes and columns of a version. */
function factsOf({ metadata, stored }: SeenVersion): Record<string, unknown> {
  const { rows, bytes, schema } = metadata;
  return {
    ...(typeof rows === 'number' ? { rows } : {}),
    ...(typeof bytes === 'number' ? { bytes } : {}),
    ...(schema === undefined ? {} : { schema }),
    ...(stored === undefined ? {} : { io: stored.kind }),
  };
}

/** By version: the inputs that are served from a fallback, as they stand once what is older in this batch is recorded. */
function judgeDegraded(
  versions: readonly SeenVersion[],
  assets: Assets,
): ReadonlyMap<string, readonly string[]> {
  const settled = new Map<string, boolean>();
  const result = new Map<string, readonly string[]>();
  for (const version of versions) {
    if (version.provenance !== 'computed') continue;
    // Of partitions, what was read tells; of the whole, what stands now.
    const said = version.partition === null ? null : version.inputs;
    const inputs = said
      ? [...new Set(said.flatMap((one) => (one.degraded ? [one.assetKey] : [])))]
      : (assets.get(version.assetKey)?.degraded_by ?? []).filter(
          (input) => settled.get(input) !== false,
        );
    settled.set(version.assetKey, inputs.length > 0);
    result.set(version.id, inputs);
  }
  return result;
}

/** For each asset the version that is newer than what is there, if one is. A future event time counts as now. */
function newestOf(
  versions: readonly SeenVersion[],
  assets: Assets,
  now: EpochMs,
): readonly SeenVersion[] {
  const newest = new Map<string, SeenVersion>();
  for (const version of versions) {
    const at = Math.min(version.at, now);
    const before = newest.get(version.assetKey);
    const standing = before
      ? Math.min(before.at, now)
      : (assets.get(version.assetKey)?.computed_at?.getTime() ?? Number.NEGATIVE_INFINITY);
    if (at >= standing) newest.set(version.assetKey, version);
  }
  return [...newest.values()];
}

async function recordChecks(
  tx: Tx,
  checks: readonly SeenCheck[],
  assets: Assets,
  newId: () => string,
  now: EpochMs,
): Promise<Event[]> {
  if (checks.length === 0) return [];
  await insertCheckResults(
    tx,
    checks.map(({ assetKey, runId, at, severity = 'error', ...check }) => ({
      ...{ ...check, id: newId(), asset_key: assetKey, run_id: runId, at: iso(at), severity },
    })),
  );
  const last = latest(checks, (check) => nameOfCheck(check.assetKey, check.name));
  const rows = await upsertChecks(
    tx,
    last.map(
      (check): CheckRecord => ({
        asset_key: check.assetKey,
        name: check.name,
        passed: check.passed,
        blocking: check.blocking,
        severity: check.severity ?? 'error',
        at: iso(check.at),
        run_id: check.runId,
        metadata: check.metadata,
      }),
    ),
  );
  const news = new Set(rows.map((row) => nameOfCheck(row.asset_key, row.name)));
  return last
    .filter((check) => news.has(nameOfCheck(check.assetKey, check.name)))
    .map((check) =>
      toEvent(assets, check, now, {
        type: check.passed ? 'check-passed' : 'check-failed',
        at: check.at,
        partition: '',
        detail: {
          ...{ check: check.name, blocking: check.blocking, severity: check.severity ?? 'error' },
          metadata: check.metadata,
        },
      }),
    );
}

async function recordFailures(
  tx: Tx,
  failures: readonly SeenFailure[],
  assets: Assets,
  now: EpochMs,
): Promise<Event[]> {
  if (failures.length === 0) return [];
  const last = latest(failures, (failure) => failure.assetKey);
  const news = await setFailures(
    tx,
    last.map(({ assetKey, at, state, error, runId }) => ({
      key: assetKey,
      at: iso(at),
      failure: { state, error, runId },
    })),
    new Date(now),
  );
  return last
    .filter((failure) => news.has(failure.assetKey))
    .map((failure) =>
      toEvent(assets, failure, now, {
        type: 'failed',
        at: failure.at,
        partition: '',
        detail: { state: failure.state, error: failure.error },
      }),
    );
}

function toEvent(
  assets: Assets,
  of: { readonly assetKey: string; readonly runId: string | null },
  now: EpochMs,
  event: Pick<Event, 'type' | 'at' | 'partition'> & { detail: Readonly<Record<string, unknown>> },
): Event {
  const asset = assets.get(of.assetKey);
  const policy = effectivePolicy(asset?.declared_policy ?? {}, asset?.set_policy ?? {});
  return {
    at: event.at,
    recordedAt: now,
    assetKey: of.assetKey,
    type: event.type,
    runId: of.runId ?? '',
    partition: event.partition,
    detail: JSON.stringify({
      ...event.detail,
      source: asset?.source ?? null,
      critical: policy.critical,
      owners: asset?.owners ?? [],
    }),
  };
}

/** The last of each key, in the order of the first of each. */
function latest<T extends { readonly at: EpochMs }>(
  items: readonly T[],
  keyOf: (item: T) => string,
): readonly T[] {
  const last = new Map<string, T>();
  for (const item of items) {
    const before = last.get(keyOf(item));
    if (!before || before.at <= item.at) last.set(keyOf(item), item);
  }
  return [...last.values()];
}

function nameOfCheck(assetKey: string, name: string): string {
  return `${assetKey}\n${name}`;
}

function iso(at: EpochMs): string {
  return new Date(at).toISOString();
}
