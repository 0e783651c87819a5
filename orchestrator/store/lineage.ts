/**
 * Walks along the edges between assets. Depth is limited and a step is taken once a key and depth, so that a
 * circle (which lineage from outside may have) ends at the limit.
 */
import type { StoredPolicy } from '../assets/policy.ts';
import type { Tx } from './connection.ts';

/** A node as it comes out of the statement: in an array, since there may be thousands. */
export type LineageNodeRow = readonly [
  key: string,
  /** Levels away: negative upstream, positive downstream. */
  depth: number,
  declaredPolicy: StoredPolicy | null,
  setPolicy: StoredPolicy | null,
  /** RFC 3339. */
  computedAt: string | null,
  /** Null where the asset is only named by an edge. */
  fallback: boolean | null,
];

export interface LineageRows {
  readonly nodes: readonly LineageNodeRow[];
  readonly edges: readonly (readonly [upstream: string, downstream: string])[];
}

/** One statement and one row, as JSON: reading thousands of rows would cost more than finding them. */
const LINEAGE = `
  WITH RECURSIVE down (key, depth) AS (
    SELECT $1::text, 0
    UNION
    SELECT e.downstream, w.depth + 1
    FROM down w JOIN signalbox.asset_edge e ON e.upstream = w.key WHERE w.depth < $2
  ), up (key, depth) AS (
    SELECT $1::text, 0
    UNION
    SELECT e.upstream, w.depth + 1
    FROM up w JOIN signalbox.asset_edge e ON e.downstream = w.key WHERE w.depth < $2
  ), nearest AS MATERIALIZED (
    SELECT key, CASE WHEN min(up) < min(down) OR min(down) IS NULL THEN -min(up) ELSE min(down) END AS depth
    FROM (SELECT key, depth AS down, NULL::int AS up FROM down
          UNION ALL SELECT key, NULL, depth FROM up) AS both_ways
    GROUP BY key
  )
  SELECT
    (SELECT json_agg(json_build_array(
        n.key, n.depth, a.declared_policy, a.set_policy, a.computed_at, a.fallback))
     FROM nearest n LEFT JOIN signalbox.asset a ON a.key = n.key) AS nodes,
    (SELECT coalesce(json_agg(json_build_array(e.upstream, e.downstream)), '[]')
     FROM nearest n JOIN signalbox.asset_edge e ON e.downstream = n.key
     WHERE e.upstream IN (SELECT key FROM nearest)) AS edges`;

/** An asset, what is within `depth` levels of it, and the edges between all of these. */
export async function readLineage(db: Tx, key: string, depth: number): Promise<LineageRows> {
  const [row] = await db.query<LineageRows>(LINEAGE, [key, depth]);
  return row ?? { nodes: [], edges: [] };
}

export interface EdgeRow {
  readonly upstream: string;
  readonly downstream: string;
  readonly origin: 'code' | 'openlineage';
}

/** Edges whose both ends are among the keys. */
export function readEdgesAmong(db: Tx, keys: readonly string[]): Promise<EdgeRow[]> {
  return db.query<EdgeRow>(
    `SELECT e.upstream, e.downstream, e.origin FROM signalbox.asset_edge e
     WHERE e.downstream = ANY($1) AND e.upstream IN (SELECT unnest($1::text[]))
     ORDER BY e.downstream, e.upstream`,
    [keys],
  );
}

/** What lies within `depth` levels below any of the keys, the keys themselves included. */
export async function readBelow(
  db: Tx,
  keys: readonly string[],
  depth: number,
): Promise<readonly string[]> {
  const rows = await db.query<{ key: string }>(
    `WITH RECURSIVE down (key, depth) AS (
       SELECT key, 0 FROM unnest($1::text[]) AS given (key)
       UNION
       SELECT e.downstream, w.depth + 1
       FROM down w JOIN signalbox.asset_edge e ON e.upstream = w.key WHERE w.depth < $2
     )
     SELECT key, min(depth) AS depth FROM down GROUP BY key ORDER BY 2, 1`,
    [keys, depth],
  );
  return rows.map((row) => row.key);
}

/** Whether an edge names the asset. */
export async function isNamed(db: Tx, key: string): Promise<boolean> {
  const rows = await db.query(
    `SELECT FROM signalbox.asset_edge WHERE upstream = $1
     UNION ALL SELECT FROM signalbox.asset_edge WHERE downstream = $1 LIMIT 1`,
    [key],
  );
  return rows.length > 0;
}
