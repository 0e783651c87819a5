/** Reading assets: rows with their served version, edges and checks; versions; values. */
import type { CheckSeverity, Provenance, StoredVersion } from '../../domain/asset.ts';
import type { PartitionsDefinition } from '../../domain/partition.ts';
import type { StoredPolicy } from '../assets/policy.ts';
import type { GraphTask } from '../catalog/graph.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import type { InputRow } from './partition.ts';

export interface MaterializationRow {
  readonly id: string;
  readonly asset_key: string;
  readonly at: Date;
  readonly recorded_at: Date;
  readonly run_id: string | null;
  readonly partition: string | null;
  readonly provenance: Provenance;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly stored: StoredVersion | null;
  readonly data_version: string | null;
  readonly code_version: string | null;
  readonly inputs: readonly InputRow[] | null;
}

export interface AssetRow {
  readonly key: string;
  readonly description: string | null;
  readonly owners: readonly string[];
  readonly checks: readonly { name: string; blocking: boolean; severity?: CheckSeverity }[];
  /** Declared apart from the asset. */
  readonly other_checks: readonly { name: string; blocking: boolean; severity: CheckSeverity }[];
  readonly io: string | null;
  readonly last_observation: {
    readonly at: string | null;
    readonly recorded_at: string;
    readonly data_version: string | null;
  } | null;
  readonly declared_policy: StoredPolicy;
  readonly set_policy: StoredPolicy;
  readonly computed_at: Date | null;
  readonly fallback: boolean;
  readonly made_here: boolean;
  readonly partitions: PartitionsDefinition | null;
  readonly partitions_made: number;
  readonly partitions_failed: number;
  readonly complete_at: Date | null;
  readonly code_version: string | null;
  readonly depends_on: readonly string[];
  readonly check_states: readonly {
    name: string;
    passed: boolean;
    blocking: boolean;
    severity: CheckSeverity;
    at: string;
    metadata: Readonly<Record<string, unknown>>;
  }[];
  /** The version that is served now, as JSON (times as RFC 3339). */
  readonly served:
    | (Omit<MaterializationRow, 'at' | 'recorded_at' | 'inputs'> & {
        at: string;
        recorded_at: string;
      })
    | null;
}

const VERSION =
  'm.id, m.asset_key, m.at, m.recorded_at, m.run_id, m.partition, m.provenance, m.metadata, m.data_version, m.code_version, m.inputs, m.stored';

const SELECT_ASSET = `
  SELECT a.key, a.description, a.owners, a.checks, a.declared_policy, a.set_policy,
    greatest(a.computed_at, a.observed_at) AS computed_at, a.fallback, a.io,
    a.task IS NOT NULL AND NOT a.observed AS made_here, a.partitions, a.partitions_made, a.partitions_failed, a.complete_at,
    a.code_version,
    ARRAY(SELECT e.upstream FROM signalbox.asset_edge e WHERE e.downstream = a.key ORDER BY 1) AS depends_on,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
         'name', c.name, 'passed', c.passed, 'blocking', c.blocking, 'severity', c.severity, 'at', c.at,
         'metadata', c.metadata) ORDER BY c.name), '[]')
     FROM signalbox.asset_check c WHERE c.asset_key = a.key) AS check_states,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
         'name', d.name, 'blocking', d.blocking, 'severity', d.severity) ORDER BY d.name), '[]')
     FROM signalbox.asset_check_definition d WHERE d.asset_key = a.key) AS other_checks,
    (SELECT jsonb_build_object('at', o.at, 'recorded_at', o.recorded_at, 'data_version', o.data_version)
     FROM signalbox.asset_observation o WHERE o.id = a.observation_id) AS last_observation,
    (SELECT jsonb_build_object('id', m.id, 'asset_key', m.asset_key, 'at', m.at,
         'recorded_at', m.recorded_at, 'run_id', m.run_id, 'partition', m.partition,
         'provenance', m.provenance, 'metadata', m.metadata, 'data_version', m.data_version,
         'code_version', m.code_version, 'stored', m.stored)
     FROM signalbox.materialization m WHERE m.id = coalesce(a.served_id, a.computed_id)) AS served
  FROM signalbox.asset a`;

export function listAssets(
  db: Tx,
  query: { after: string | null; limit: number; prefix: string },
): Promise<AssetRow[]> {
  return db.query<AssetRow>(
    `${SELECT_ASSET} WHERE ($1::text IS NULL OR a.key > $1) AND signalbox.in_environment(a.key, $3)
     ORDER BY a.key LIMIT $2`,
    [query.after, query.limit, query.prefix],
  );
}

export async function findAsset(db: Tx, key: string): Promise<AssetRow | undefined> {
  const [row] = await db.query<AssetRow>(`${SELECT_ASSET} WHERE a.key = $1`, [key]);
  return row;
}

/** Versions of an asset, the last recorded first. */
export function listMaterializations(
  db: Tx,
  key: string,
  query: { after: string | null; limit: number; partition?: string | undefined },
): Promise<MaterializationRow[]> {
  return db.query<MaterializationRow>(
    `SELECT ${VERSION} FROM signalbox.materialization m
     WHERE m.asset_key = $1 AND ($2::uuid IS NULL OR m.id < $2)
       ${query.partition === undefined ? '' : 'AND m.partition = $4'} ORDER BY m.id DESC LIMIT $3`,
    [key, query.after, query.limit, ...(query.partition === undefined ? [] : [query.partition])],
  );
}

/** The newest version by event time that was computed or observed; what a fallback would serve. */
export async function findLastGood(db: Tx, key: string): Promise<MaterializationRow | undefined> {
  const [row] = await db.query<MaterializationRow>(
    `SELECT ${VERSION} FROM signalbox.asset a JOIN signalbox.materialization m ON m.id = a.computed_id
     WHERE a.key = $1`,
    [key],
  );
  return row;
}

/** Replaces what was set by hand; makes the asset known where it is not. */
export async function setAssetPolicy(
  tx: Tx,
  key: string,
  policy: StoredPolicy,
  now: Date,
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.asset (key, set_policy, updated_at) VALUES ($1, $2, $3)
     ON CONFLICT (key) DO UPDATE SET set_policy = excluded.set_policy, updated_at = excluded.updated_at`,
    [key, jsonText(policy), now],
  );
}

export interface ServedValue {
  readonly value: unknown;
  readonly degraded: boolean;
  readonly at: Date;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly id: string;
  readonly data_version: string | null;
  readonly partition: string | null;
  readonly stored: StoredVersion | null;
}

/** What readers of an asset get now. */
export async function readServedValue(db: Tx, key: string): Promise<ServedValue | undefined> {
  const [row] = await db.query<ServedValue>(
    `SELECT coalesce(m.value, (SELECT p.value FROM signalbox.asset_partition p
                              WHERE p.asset_key = m.asset_key AND p.partition = m.partition
                                AND p.version_id = m.id)) AS value,
            a.fallback AS degraded, m.at, m.metadata, m.id, m.data_version, m.partition,
            to_jsonb(m) -> 'stored' AS stored
     FROM signalbox.asset a JOIN signalbox.materialization m ON m.id = coalesce(a.served_id, a.computed_id)
     WHERE a.key = $1`,
    [key],
  );
  return row;
}

export interface AssetTask {
  readonly key: string;
  /** Null for one that is not made here. */
  readonly task: GraphTask | null;
  readonly partitions: PartitionsDefinition | null;
  readonly partition_runs: string;
}

/** How assets are made; those without a workflow are not made here. */
export function readAssetTasks(db: Tx, keys: readonly string[]): Promise<AssetTask[]> {
  return db.query(
    `SELECT key, CASE WHEN workflow IS NULL THEN NULL ELSE task END AS task, partitions, partition_runs
     FROM signalbox.asset WHERE key = ANY($1)`,
    [keys],
  );
}

export interface DetectorAssetRow {
  readonly key: string;
  readonly declared_policy: StoredPolicy;
  readonly set_policy: StoredPolicy;
  readonly upstream: readonly string[];
  readonly source: string | null;
  readonly owners: readonly string[];
}

/** All assets of production that have a policy or an edge. */
export function readDetectorAssets(db: Tx): Promise<DetectorAssetRow[]> {
  return db.query<DetectorAssetRow>(`
    WITH up AS (
      SELECT downstream AS key, array_agg(upstream ORDER BY upstream) AS upstream
      FROM signalbox.asset_edge WHERE upstream <> downstream GROUP BY downstream
    ), seen AS (
      SELECT key FROM signalbox.asset
      UNION SELECT downstream FROM signalbox.asset_edge
      UNION SELECT upstream FROM signalbox.asset_edge
    )
    SELECT s.key, coalesce(a.declared_policy, '{}') AS declared_policy,
           coalesce(a.set_policy, '{}') AS set_policy, coalesce(up.upstream, '{}') AS upstream,
           a.source, coalesce(a.owners, '[]') AS owners
    FROM seen s LEFT JOIN signalbox.asset a ON a.key = s.key LEFT JOIN up ON up.key = s.key
    WHERE signalbox.in_environment(s.key, '') AND (
       up.key IS NOT NULL OR a.declared_policy <> '{}' OR a.set_policy <> '{}'
       OR EXISTS (SELECT FROM signalbox.asset_edge e WHERE e.upstream = s.key))
    ORDER BY s.key`);
}

export async function findMaterialization(
  db: Tx,
  id: string,
): Promise<MaterializationRow | undefined> {
  const [row] = await db.query<MaterializationRow>(
    `SELECT ${VERSION} FROM signalbox.materialization m WHERE m.id = $1`,
    [id],
  );
  return row;
}

/**
 * Takes away values that no reader gets any more: those of versions before `beforeId` that no asset serves.
 * @returns how many there were
 */
export function dropOldValues(db: Tx, beforeId: string, limit: number): Promise<number> {
  return db.execute(
    `UPDATE signalbox.materialization SET value = NULL WHERE id IN (
       SELECT m.id FROM signalbox.materialization m
       WHERE m.value IS NOT NULL AND m.id < $1
         AND NOT EXISTS (SELECT FROM signalbox.asset a
                         WHERE a.key = m.asset_key AND m.id IN (a.computed_id, a.served_id))
       ORDER BY m.id LIMIT $2)`,
    [beforeId, limit],
  );
}

/** What keeps the values of these assets (null where Signalbox does), and whether they are only looked at. */
export async function readAssetKeepers(
  tx: Tx,
  keys: readonly string[],
): Promise<ReadonlyMap<string, { readonly io: string | null; readonly observed: boolean }>> {
  const rows = await tx.rows<readonly [string, string | null, boolean]>(
    'SELECT key, io, observed FROM signalbox.asset WHERE key = ANY($1::text[])',
    [textArray(keys)],
  );
  return new Map(rows.map(([key, io, observed]) => [key, { io, observed }]));
}
