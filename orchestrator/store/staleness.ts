/** What the staleness of all assets follows from, in few statements and as JSON, which is read much faster than rows. */
import type { PartitionMapping, PartitionsDefinition } from '../../domain/partition.ts';
import { textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import type { InputRow } from './partition.ts';

/** Changes with whatever is recorded or registered of assets: each such transaction writes its number into their rows. */
export async function readStalenessEpoch(db: Tx): Promise<string> {
  const [row] = await db.query<{ epoch: string }>(
    `SELECT concat_ws('/', (SELECT epoch FROM signalbox.lineage_epoch), count(*), sum(xmin::text::bigint)) AS epoch
     FROM signalbox.asset`,
  );
  return row?.epoch ?? '';
}

export type AssetVersionRow = readonly [
  key: string,
  madeHere: boolean,
  partitions: PartitionsDefinition | null,
  codeVersion: string | null,
  /** Of the version that is served. */
  versionId: string | null,
  partition: string | null,
  dataVersion: string | null,
  versionCode: string | null,
  inputs: readonly InputRow[] | null,
  lastId: string | null,
];

/** All assets with the version that is served of each. */
export async function readAssetVersions(db: Tx): Promise<readonly AssetVersionRow[]> {
  const [row] = await db.query<{ assets: readonly AssetVersionRow[] }>(
    `SELECT coalesce(json_agg(json_build_array(
         a.key, a.workflow IS NOT NULL, a.partitions, a.code_version, m.id, m.partition, m.data_version,
         m.code_version, m.inputs, a.last_id)), '[]') AS assets
     FROM signalbox.asset a
     LEFT JOIN signalbox.materialization m ON m.id = coalesce(a.served_id, a.computed_id)`,
  );
  return row?.assets ?? [];
}

export type MappedEdge = readonly [
  upstream: string,
  downstream: string,
  mapping: PartitionMapping | null,
];

export function readMappedEdges(db: Tx): Promise<MappedEdge[]> {
  return db.rows<MappedEdge>(
    `SELECT upstream, downstream, mapping FROM signalbox.asset_edge
     WHERE upstream <> downstream AND origin <> 'openlineage'`,
  );
}

/** Edges into one asset. */
export function readEdgesInto(db: Tx, key: string): Promise<MappedEdge[]> {
  return db.rows<MappedEdge>(
    `SELECT upstream, downstream, mapping FROM signalbox.asset_edge
     WHERE downstream = $1 AND origin <> 'openlineage'`,
    [key],
  );
}

/** The present version of each partition: [asset, partition, id, data version]. */
export function readCurrentPartitions(
  db: Tx,
  of: readonly (readonly [asset: string, partition: string])[],
): Promise<(readonly [string, string, string, string])[]> {
  if (of.length === 0) return Promise.resolve([]);
  return db.rows(
    `SELECT p.asset_key, p.partition, p.version_id, p.data_version
     FROM unnest($1::text[], $2::text[]) AS k (asset_key, partition)
     JOIN signalbox.asset_partition p USING (asset_key, partition) WHERE p.version_id IS NOT NULL`,
    [textArray(of.map(([asset]) => asset)), textArray(of.map(([, partition]) => partition))],
  );
}

/** Versions that are served of these assets, as `readAssetVersions` has them. */
export async function readVersionsOf(
  db: Tx,
  keys: readonly string[],
): Promise<readonly AssetVersionRow[]> {
  return db.rows<AssetVersionRow>(
    `SELECT a.key, a.workflow IS NOT NULL, a.partitions, a.code_version, m.id, m.partition, m.data_version,
            m.code_version, m.inputs, a.last_id
     FROM signalbox.asset a
     LEFT JOIN signalbox.materialization m ON m.id = coalesce(a.served_id, a.computed_id)
     WHERE a.key = ANY($1::text[])`,
    [textArray(keys)],
  );
}
