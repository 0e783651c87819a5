/**
 * Edges between assets, whole and in part. Walks in the database have a limit of depth and take a step once a key
 * and depth, so that a circle (which lineage from outside may have) ends at the limit.
 */
import type { PartitionMapping, PartitionsDefinition } from '../../domain/partition.ts';
import type { StoredPolicy } from '../assets/policy.ts';
import { textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Number of the state in which all edges are; it grows with each change of one. */
export async function readLineageEpoch(db: Tx): Promise<string> {
  const [row] = await db.query<{ epoch: string }>('SELECT epoch FROM signalbox.lineage_epoch');
  return row?.epoch ?? '0';
}

/** Tells all servers that edges have changed. The last statement of a transaction, since others wait for its row. */
export async function growLineageEpoch(tx: Tx): Promise<void> {
  await tx.execute('UPDATE signalbox.lineage_epoch SET epoch = epoch + 1');
}

/** All edges, but those of an asset to its own earlier partitions. */
export function readAllEdges(db: Tx): Promise<(readonly [upstream: string, downstream: string])[]> {
  return db.rows<readonly [string, string]>(
    `SELECT upstream, downstream FROM signalbox.asset_edge WHERE upstream <> downstream
     ORDER BY downstream, upstream`,
  );
}

/** What the freshness of an asset follows from, in an array, since there may be thousands. */
export type FreshnessRow = readonly [
  key: string,
  declaredPolicy: StoredPolicy,
  setPolicy: StoredPolicy,
  /** RFC 3339. */
  computedAt: string | null,
  fallback: boolean,
  partitions: PartitionsDefinition | null,
  partitionsMade: number,
  /** RFC 3339. */
  completeAt: string | null,
];

/** Assets that are only named by an edge are missing. As one JSON, which is read much faster than rows. */
export async function readFreshness(
  db: Tx,
  keys: readonly string[],
): Promise<readonly FreshnessRow[]> {
  const [row] = await db.query<{ assets: readonly FreshnessRow[] }>(
    `SELECT coalesce(json_agg(json_build_array(
         key, declared_policy, set_policy, greatest(computed_at, observed_at), fallback, partitions, partitions_made,
         complete_at)), '[]') AS assets
     FROM signalbox.asset WHERE key = ANY($1::text[])`,
    [textArray(keys)],
  );
  return row?.assets ?? [];
}

export interface EdgeRow {
  readonly upstream: string;
  readonly downstream: string;
  readonly origin: 'code' | 'openlineage' | 'task';
  readonly mapping: PartitionMapping | null;
}

/** Edges whose both ends are among the keys. */
export function readEdgesAmong(db: Tx, keys: readonly string[]): Promise<EdgeRow[]> {
  return db.query<EdgeRow>(
    `SELECT e.upstream, e.downstream, e.origin, e.mapping FROM signalbox.asset_edge e
     WHERE e.downstream = ANY($1) AND e.upstream IN (SELECT unnest($1::text[])) AND e.upstream <> e.downstream
     ORDER BY e.downstream, e.upstream`,
    [keys],
  );
}

/** What lies within `depth` levels below any of the keys, the keys themselves included. */
export function readBelow(db: Tx, keys: readonly string[], depth: number): Promise<string[]> {
  return reach(db, REACH_DOWN, keys, depth);
}

/** What lies within `depth` levels above any of the keys, the keys themselves included. */
export function readAbove(db: Tx, keys: readonly string[], depth: number): Promise<string[]> {
  return reach(db, REACH_UP, keys, depth);
}

const REACH_DOWN = reachAlong('upstream', 'downstream');
const REACH_UP = reachAlong('downstream', 'upstream');

type End = 'upstream' | 'downstream';

function reachAlong(from: End, to: End): string {
  return `
    WITH RECURSIVE reached (key, depth) AS (
      SELECT key, 0 FROM unnest($1::text[]) AS given (key)
      UNION
      SELECT e.${to}, w.depth + 1
      FROM reached w JOIN signalbox.asset_edge e ON e.${from} = w.key
      WHERE w.depth < $2 AND e.upstream <> e.downstream
    )
    SELECT key, min(depth) AS depth FROM reached GROUP BY key ORDER BY 2, 1`;
}

async function reach(db: Tx, sql: string, keys: readonly string[], depth: number) {
  const rows = await db.query<{ key: string }>(sql, [keys, depth]);
  return rows.map((row) => row.key);
}

/** What an asset means to who asks what suffers. */
export interface ImpactRow {
  readonly key: string;
  readonly owners: readonly string[];
  readonly declared_policy: StoredPolicy;
  readonly set_policy: StoredPolicy;
  readonly computed_at: Date | null;
  readonly complete_at: Date | null;
  readonly partitions: PartitionsDefinition | null;
}

export function readImpactRows(db: Tx, keys: readonly string[]): Promise<ImpactRow[]> {
  return db.query<ImpactRow>(
    `SELECT key, owners, declared_policy, set_policy, computed_at, complete_at, partitions
     FROM signalbox.asset WHERE key = ANY($1::text[])`,
    [textArray(keys)],
  );
}
