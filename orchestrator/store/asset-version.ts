/**
 * Writing versions of assets, what they change in the asset, failures and checks: each one statement for many.
 * An asset's row is locked (in the order of keys) by whoever records something of it.
 */
import type { CheckSeverity, Provenance, StoredVersion } from '../../domain/asset.ts';
import type { PartitionsDefinition } from '../../domain/partition.ts';
import type { StoredPolicy } from '../assets/policy.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';
import type { InputRow } from './partition.ts';

export interface LockedAsset {
  readonly key: string;
  readonly source: string | null;
  readonly owners: readonly string[];
  readonly declared_policy: StoredPolicy;
  readonly set_policy: StoredPolicy;
  readonly computed_at: Date | null;
  readonly fallback: boolean;
  readonly partitions: PartitionsDefinition | null;
  readonly partitions_made: number;
  readonly complete_at: Date | null;
  readonly last_failed_at: Date | null;
  /** Upstreams that serve a fallback at this moment, or are computed from one. */
  readonly degraded_by: readonly string[];
}

/** Locks these assets, and makes known those that are not. */
export async function lockAssets(
  tx: Tx,
  keys: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, LockedAsset>> {
  const sorted = [...new Set(keys)].sort();
  const locked = await readLocked(tx, sorted);
  if (locked.length === sorted.length) return new Map(locked.map((row) => [row.key, row]));
  await tx.execute(
    `INSERT INTO signalbox.asset (key, updated_at)
     SELECT key, $2 FROM unnest($1::text[]) AS given (key) ORDER BY key ON CONFLICT DO NOTHING`,
    [sorted, now],
  );
  return new Map((await readLocked(tx, sorted)).map((row) => [row.key, row]));
}

function readLocked(tx: Tx, sorted: readonly string[]): Promise<LockedAsset[]> {
  return tx.query<LockedAsset>(
    `SELECT a.key, a.source, a.owners, a.declared_policy, a.set_policy, a.computed_at, a.fallback,
       a.last_failed_at, a.partitions, a.partitions_made, a.complete_at,
       ARRAY(SELECT e.upstream FROM signalbox.asset_edge e JOIN signalbox.asset u ON u.key = e.upstream
             WHERE e.downstream = a.key AND u.fallback ORDER BY 1) AS degraded_by
     FROM signalbox.asset a WHERE a.key = ANY($1) ORDER BY a.key FOR UPDATE OF a`,
    [sorted],
  );
}

export interface VersionRecord {
  readonly id: string;
  readonly asset_key: string;
  readonly at: string;
  readonly recorded_at: string;
  readonly run_id: string | null;
  readonly partition: string | null;
  readonly provenance: Provenance;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly value: unknown;
  readonly idempotency_key: string | null;
  readonly data_version: string | null;
  readonly code_version: string | null;
  readonly inputs: readonly InputRow[] | null;
  readonly stored: StoredVersion | null;
}

/** @returns ids of those that were not there under their key yet */
export async function insertVersions(
  tx: Tx,
  versions: readonly VersionRecord[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ id: string }>(
    `INSERT INTO signalbox.materialization (
       id, asset_key, at, recorded_at, run_id, partition, provenance, metadata, value, idempotency_key,
       data_version, code_version, inputs, stored)
     SELECT id, asset_key, at, recorded_at, run_id, partition, provenance, metadata, value, idempotency_key,
            data_version, code_version, inputs, stored
     FROM jsonb_to_recordset($1::jsonb) AS v (
       id uuid, asset_key text, at timestamptz, recorded_at timestamptz, run_id uuid, partition text,
       provenance text, metadata jsonb, value jsonb, idempotency_key text, data_version text,
       code_version text, inputs jsonb, stored jsonb)
     ORDER BY asset_key, id
     ON CONFLICT (asset_key, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
     RETURNING id`,
    [jsonText(versions)],
  );
  return new Set(rows.map((row) => row.id));
}

/** The newest version of an asset by event time: it is served from now on. */
export interface NewestRecord {
  readonly key: string;
  readonly id: string;
  readonly computed_at: string;
  /** Computed from inputs of which one is a fallback. */
  readonly degraded: boolean;
}

export async function setNewest(tx: Tx, newest: readonly NewestRecord[], now: Date): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.asset a SET
       computed_at = n.computed_at, computed_id = n.id, served_id = n.id, fallback = n.degraded,
       last_failed_at = NULL, last_failure = NULL, updated_at = $2
     FROM jsonb_to_recordset($1::jsonb) AS n (
       key text, id uuid, computed_at timestamptz, degraded boolean)
     WHERE a.key = n.key`,
    [jsonText(newest), now],
  );
}

export interface FailureRecord {
  readonly key: string;
  readonly at: string;
  readonly failure: Readonly<Record<string, unknown>>;
}

/**
 * Marks assets as failing; a failure that is older than the data, or that is known already, says nothing new.
 * @returns keys of those to which it was news
 */
export async function setFailures(
  tx: Tx,
  failures: readonly FailureRecord[],
  now: Date,
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ key: string }>(
    `UPDATE signalbox.asset a SET last_failed_at = f.at, last_failure = f.failure, updated_at = $2
     FROM jsonb_to_recordset($1::jsonb) AS f (key text, at timestamptz, failure jsonb)
     WHERE a.key = f.key AND (a.last_failed_at IS NULL OR a.last_failed_at < f.at)
       AND (a.computed_at IS NULL OR a.computed_at <= f.at)
     RETURNING a.key`,
    [jsonText(failures), now],
  );
  return new Set(rows.map((row) => row.key));
}

export interface CheckRecord {
  readonly asset_key: string;
  readonly name: string;
  readonly passed: boolean;
  readonly blocking: boolean;
  readonly severity: CheckSeverity;
  readonly at: string;
  readonly run_id: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * Keeps the latest word of each check. At most one record for a check.
 * @returns those that were news
 */
export function upsertChecks(
  tx: Tx,
  checks: readonly CheckRecord[],
): Promise<{ asset_key: string; name: string }[]> {
  return tx.query(
    `INSERT INTO signalbox.asset_check AS c (
       asset_key, name, passed, blocking, severity, at, run_id, metadata)
     SELECT asset_key, name, passed, blocking, severity, at, run_id, metadata
     FROM jsonb_to_recordset($1::jsonb) AS k (
       asset_key text, name text, passed boolean, blocking boolean, severity text, at timestamptz, run_id uuid,
       metadata jsonb)
     ORDER BY asset_key, name
     ON CONFLICT (asset_key, name) DO UPDATE SET
       passed = excluded.passed, blocking = excluded.blocking, severity = excluded.severity, at = excluded.at,
       run_id = excluded.run_id, metadata = excluded.metadata
     WHERE c.at < excluded.at
        OR c.at = excluded.at AND (c.run_id, c.passed) IS DISTINCT FROM (excluded.run_id, excluded.passed)
     RETURNING asset_key, name`,
    [jsonText(checks)],
  );
}

/** Serves a copy of the last good version as a fallback. */
export async function insertFallback(
  tx: Tx,
  of: {
    id: string;
    key: string;
    lastGoodId: string;
    reason: string;
    idempotencyKey: string;
    now: Date;
  },
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.materialization (
       id, asset_key, at, recorded_at, run_id, partition, provenance, metadata, value, idempotency_key,
       data_version, stored)
     SELECT $1, m.asset_key, m.at, $2, NULL, m.partition, 'fallback',
            m.metadata || jsonb_build_object('reason', $3::text, 'of', m.id),
            coalesce(m.value, (SELECT p.value FROM signalbox.asset_partition p
                               WHERE p.asset_key = m.asset_key AND p.partition = m.partition
                                 AND p.version_id = m.id)), $4, m.data_version, m.stored
     FROM signalbox.materialization m WHERE m.id = $5`,
    [of.id, of.now, of.reason, of.idempotencyKey, of.lastGoodId],
  );
  await tx.execute(
    'UPDATE signalbox.asset SET served_id = $2, fallback = true, updated_at = $3 WHERE key = $1',
    [of.key, of.id, of.now],
  );
}

/** The version that was recorded under this key, and the one that is served. */
export async function readFallbackState(
  tx: Tx,
  key: string,
  idempotencyKey: string,
): Promise<{
  recorded_id: string | null;
  served_id: string | null;
  provenance: Provenance | null;
}> {
  const [row] = await tx.query<{
    recorded_id: string | null;
    served_id: string | null;
    provenance: Provenance | null;
  }>(
    `SELECT (SELECT m.id FROM signalbox.materialization m
             WHERE m.asset_key = a.key AND m.idempotency_key = $2) AS recorded_id,
            a.served_id,
            (SELECT m.provenance FROM signalbox.materialization m WHERE m.id = a.served_id) AS provenance
     FROM signalbox.asset a WHERE a.key = $1`,
    [key, idempotencyKey],
  );
  return row ?? { recorded_id: null, served_id: null, provenance: null };
}
