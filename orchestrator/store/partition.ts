/** Table `asset_partition`: the latest of each partition. */
import type { StoredVersion } from '../../domain/asset.ts';
import type { PartitionMapping, PartitionsDefinition } from '../../domain/partition.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface PartitionRecord {
  readonly asset_key: string;
  readonly partition: string;
  readonly version_id: string;
  readonly at: string;
  readonly recorded_at: string;
  readonly run_id: string | null;
  readonly degraded: boolean;
  readonly data_version: string;
  readonly code_version: string | null;
  readonly value: unknown;
  readonly end_at: string | null;
}

interface Named {
  readonly asset_key: string;
  readonly partition: string;
}

/** Whether these partitions were made, and whether they stand as failed; by asset and partition with a line break between. */
export async function readPartitionMarks(
  tx: Tx,
  of: readonly Named[],
): Promise<ReadonlyMap<string, { made: boolean; failed: boolean }>> {
  const rows = await tx.rows<readonly [string, string, boolean, boolean]>(
    `SELECT p.asset_key, p.partition, p.version_id IS NOT NULL AND NOT p.gone, p.failed_at IS NOT NULL AND NOT p.gone
     FROM unnest($1::text[], $2::text[]) AS k (asset_key, partition)
     JOIN signalbox.asset_partition p USING (asset_key, partition)`,
    [textArray(of.map((one) => one.asset_key)), textArray(of.map((one) => one.partition))],
  );
  return new Map(
    rows.map(([key, partition, made, failed]) => [`${key}\n${partition}`, { made, failed }]),
  );
}

export async function upsertPartitions(tx: Tx, rows: readonly PartitionRecord[]): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.asset_partition AS p (
       asset_key, partition, version_id, at, recorded_at, run_id, degraded, data_version, code_version, value,
       end_at)
     SELECT asset_key, partition, version_id, at, recorded_at, run_id, degraded, data_version, code_version,
            value, end_at
     FROM jsonb_to_recordset($1::jsonb) AS r (
       asset_key text, partition text, version_id uuid, at timestamptz, recorded_at timestamptz, run_id uuid,
       degraded boolean, data_version text, code_version text, value jsonb, end_at timestamptz)
     ORDER BY asset_key, partition
     ON CONFLICT (asset_key, partition) DO UPDATE SET
       version_id = excluded.version_id, at = excluded.at, recorded_at = excluded.recorded_at,
       run_id = excluded.run_id, degraded = excluded.degraded, data_version = excluded.data_version,
       code_version = excluded.code_version, value = excluded.value, end_at = excluded.end_at,
       failed_at = NULL, failed_run = NULL, failure = NULL, gone = false`,
    [jsonText(rows)],
  );
}

/** Marks partitions as failed; what was made of them stays. */
export async function failPartitions(
  tx: Tx,
  rows: readonly (Named & { at: string; run_id: string | null; failure: unknown })[],
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.asset_partition AS p (asset_key, partition, failed_at, failed_run, failure)
     SELECT asset_key, partition, at, run_id, failure
     FROM jsonb_to_recordset($1::jsonb) AS r (
       asset_key text, partition text, at timestamptz, run_id uuid, failure jsonb)
     ORDER BY asset_key, partition
     ON CONFLICT (asset_key, partition) DO UPDATE SET
       failed_at = excluded.failed_at, failed_run = excluded.failed_run, failure = excluded.failure,
       gone = false`,
    [jsonText(rows)],
  );
}

/** What a change adds to the sums of an asset. */
export interface PartitionSum {
  readonly key: string;
  readonly made: number;
  readonly failed: number;
  readonly last_id: string | null;
  /** How to tell up to when it is complete. */
  readonly whole: 'newest' | 'oldest' | 'newest-full';
  /** Partitions that belong together: of the list, or of one moment. */
  readonly keys: number;
  /** Latest end among what was made now. */
  readonly end_at: string | null;
}

export async function sumPartitions(tx: Tx, sums: readonly PartitionSum[]): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.asset a SET
       partitions_made = a.partitions_made + s.made, partitions_failed = a.partitions_failed + s.failed,
       last_id = coalesce(s.last_id, a.last_id),
       complete_at = CASE s.whole
         WHEN 'newest' THEN greatest(a.complete_at, s.end_at)
         WHEN 'oldest' THEN (SELECT CASE WHEN count(p.version_id) >= s.keys THEN min(p.at) END
                             FROM signalbox.asset_partition p WHERE p.asset_key = s.key AND NOT p.gone)
         ELSE (SELECT p.end_at FROM signalbox.asset_partition p
               WHERE p.asset_key = s.key AND p.version_id IS NOT NULL AND NOT p.gone
               GROUP BY p.end_at HAVING count(*) >= s.keys ORDER BY p.end_at DESC NULLS LAST LIMIT 1)
       END
     FROM jsonb_to_recordset($1::jsonb) AS s (
       key text, made int, failed int, last_id uuid, whole text, keys int, end_at timestamptz)
     WHERE a.key = s.key`,
    [jsonText(sums)],
  );
}

export interface PartitionRow {
  readonly partition: string;
  readonly version_id: string | null;
  readonly at: Date | null;
  readonly recorded_at: Date | null;
  readonly run_id: string | null;
  readonly degraded: boolean;
  readonly data_version: string | null;
  readonly code_version: string | null;
  readonly failed_at: Date | null;
  readonly failed_run: string | null;
  readonly failure: { readonly state?: string; readonly error?: unknown } | null;
}

const COLUMNS = `
  p.partition, p.version_id, p.at, p.recorded_at, p.run_id, p.degraded, p.data_version, p.code_version,
  p.failed_at, p.failed_run, p.failure`;

/** Rows of these partitions of an asset; what was never made and never failed is missing. */
export function readPartitions(
  db: Tx,
  key: string,
  partitions: readonly string[],
): Promise<PartitionRow[]> {
  return db.query<PartitionRow>(
    `SELECT ${COLUMNS} FROM signalbox.asset_partition p WHERE p.asset_key = $1 AND p.partition = ANY($2::text[])`,
    [key, textArray(partitions)],
  );
}

/** What the state of a partition follows from, for all of an asset, in arrays since there may be a hundred thousand. */
export function readPartitionStates(
  db: Tx,
  key: string,
): Promise<(readonly [partition: string, made: boolean, degraded: boolean, failed: boolean])[]> {
  return db.rows(
    `SELECT partition, version_id IS NOT NULL, degraded, failed_at IS NOT NULL
     FROM signalbox.asset_partition WHERE asset_key = $1`,
    [key],
  );
}

/** What of each version a staleness follows from. */
export type VersionState = readonly [
  partition: string,
  versionId: string,
  dataVersion: string,
  codeVersion: string | null,
  inputs: readonly InputRow[] | null,
];

/** As `materialization.inputs` holds it. */
export type InputRow = readonly [
  asset: string,
  partition: string | null,
  id: string,
  dataVersion: string,
];

/** The latest versions of an asset's partitions (of those given, or all) with what they were made from. */
export function readVersionStates(
  db: Tx,
  key: string,
  partitions: readonly string[] | null,
): Promise<VersionState[]> {
  return db.rows<VersionState>(
    `SELECT p.partition, p.version_id, p.data_version, p.code_version, m.inputs
     FROM signalbox.asset_partition p JOIN signalbox.materialization m ON m.id = p.version_id
     WHERE p.asset_key = $1 AND ($2::text[] IS NULL OR p.partition = ANY($2::text[]))`,
    [key, partitions && textArray(partitions)],
  );
}

export interface PartitionValue {
  readonly partition: string;
  readonly value: unknown;
  readonly at: Date;
  readonly id: string;
  readonly data_version: string;
  readonly degraded: boolean;
  /** Whether the last attempt to make it anew has failed. */
  readonly failed: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly stored: StoredVersion | null;
}

/** Values of partitions; those that were never made are missing. */
export function readPartitionValues(
  db: Tx,
  key: string,
  partitions: readonly string[],
): Promise<PartitionValue[]> {
  return db.query<PartitionValue>(
    `SELECT p.partition, p.value, p.at, p.version_id AS id, p.data_version, p.degraded,
            p.failed_at IS NOT NULL AS failed, m.metadata,
            to_jsonb(m) -> 'stored' AS stored
     FROM signalbox.asset_partition p JOIN signalbox.materialization m ON m.id = p.version_id
     WHERE p.asset_key = $1 AND p.partition = ANY($2::text[])`,
    [key, textArray(partitions)],
  );
}

/** Partitions of an asset that unfinished runs are to make, with the run; what such a run has ended is not among them. */
export async function readRunningPartitions(
  db: Tx,
  key: string,
  workflows: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await db.rows<readonly [string, string]>(
    `SELECT k.partition, l.run_id
     FROM signalbox.run_live l JOIN signalbox.run_partition r ON r.run_id = l.run_id,
          jsonb_array_elements_text(coalesce(r.partitions -> $1, r.partitions -> '*')) AS k (partition)
     WHERE l.workflow = ANY($2::text[])
       AND NOT EXISTS (SELECT FROM signalbox.asset_partition p
                       WHERE p.asset_key = $1 AND p.partition = k.partition
                         AND (p.run_id = l.run_id OR p.failed_run = l.run_id))`,
    [key, textArray(workflows)],
  );
  return new Map(rows);
}

/** Both ends of an edge as mapping looks at them. */
export async function readSides(
  db: Tx,
  upstream: string,
  downstream: string,
  edge: string,
): Promise<
  | {
      upstream: PartitionsDefinition | null;
      downstream: PartitionsDefinition | null;
      mapping: PartitionMapping | null;
      fallback: boolean;
    }
  | undefined
> {
  const [row] = await db.query<{
    upstream: PartitionsDefinition | null;
    downstream: PartitionsDefinition | null;
    mapping: PartitionMapping | null;
    fallback: boolean;
  }>(
    `SELECT u.partitions AS upstream, u.fallback,
            (SELECT d.partitions FROM signalbox.asset d WHERE d.key = $2) AS downstream,
            (SELECT e.mapping FROM signalbox.asset_edge e WHERE e.upstream = $3 AND e.downstream = $2) AS mapping
     FROM signalbox.asset u WHERE u.key = $1`,
    [upstream, downstream, edge],
  );
  return row;
}

/** A partitioned asset as whoever makes or lists its partitions needs it. */
export async function readPartitioned(
  db: Tx,
  key: string,
): Promise<
  | {
      partitions: PartitionsDefinition | null;
      partition_runs: string;
      workflow: string | null;
      producers: readonly string[];
    }
  | undefined
> {
  const [row] = await db.query<{
    partitions: PartitionsDefinition | null;
    partition_runs: string;
    workflow: string | null;
    producers: readonly string[];
  }>(
    `SELECT partitions, partition_runs, workflow,
            ARRAY(SELECT DISTINCT t.workflow FROM signalbox.asset_task t
                  WHERE t.asset_key = a.key AND t.role = 'produces') AS producers
     FROM signalbox.asset a WHERE key = $1`,
    [key],
  );
  return row;
}

export interface PartitionedRow {
  readonly key: string;
  readonly partitions: PartitionsDefinition;
  readonly partition_runs: string;
}

/** Those of these assets that have partitions. */
export function readPartitionedAmong(db: Tx, keys: readonly string[]): Promise<PartitionedRow[]> {
  return db.query<PartitionedRow>(
    `SELECT key, partitions, partition_runs FROM signalbox.asset
     WHERE key = ANY($1::text[]) AND partitions IS NOT NULL`,
    [textArray(keys)],
  );
}

/** Keys of all rows of these assets, those that are gone included. */
export function readKeysOf(
  tx: Tx,
  assets: readonly string[],
): Promise<(readonly [asset: string, partition: string])[]> {
  return tx.rows(
    'SELECT asset_key, partition FROM signalbox.asset_partition WHERE asset_key = ANY($1::text[])',
    [textArray(assets)],
  );
}

/** Marks rows of these keys as gone and all others of the assets as there, and takes the sums anew. */
export async function recountPartitions(
  tx: Tx,
  assets: readonly string[],
  gone: readonly (readonly [asset: string, partition: string])[],
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.asset_partition p SET gone = NOT p.gone
     WHERE p.asset_key = ANY($1::text[])
       AND p.gone <> EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS g (asset_key, partition)
                             WHERE g.asset_key = p.asset_key AND g.partition = p.partition)`,
    [
      textArray(assets),
      textArray(gone.map(([asset]) => asset)),
      textArray(gone.map(([, partition]) => partition)),
    ],
  );
  await tx.execute(
    `UPDATE signalbox.asset a SET (partitions_made, partitions_failed, complete_at) =
       (SELECT count(p.version_id), count(p.failed_at), max(p.end_at) FILTER (WHERE p.version_id IS NOT NULL)
        FROM signalbox.asset_partition p WHERE p.asset_key = a.key AND NOT p.gone)
     WHERE a.key = ANY($1::text[])`,
    [textArray(assets)],
  );
}

/** Definitions of these assets as they are stored; those without partitions are missing. */
export async function readDefinitions(
  tx: Tx,
  keys: readonly string[],
): Promise<ReadonlyMap<string, PartitionsDefinition>> {
  const rows = await tx.rows<readonly [string, PartitionsDefinition]>(
    'SELECT key, partitions FROM signalbox.asset WHERE key = ANY($1::text[]) AND partitions IS NOT NULL',
    [textArray(keys)],
  );
  return new Map(rows);
}
