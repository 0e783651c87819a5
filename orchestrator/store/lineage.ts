/**
 * Walks along the edges between assets. Depth is limited and a step is taken once a key and depth, so that a
 * circle (which lineage from outside may have) ends at the limit.
 */
import type { StoredPolicy } from '../assets/policy.ts';
import type { Tx } from './connection.ts';

export interface LineageNodeRow {
  readonly key: string;
  /** Levels away: negative upstream, positive downstream. */
  readonly depth: number;
  readonly declared_policy: StoredPolicy | null;
  readonly set_policy: StoredPolicy | null;
  readonly computed_at: Date | null;
  readonly fallback: boolean | null;
}

const WALK = `
  WITH RECURSIVE down (key, depth) AS (
    SELECT $1::text, 0
    UNION
    SELECT e.downstream, w.depth + 1
    FROM down w JOIN signalbox.asset_edge e ON e.upstream = w.key WHERE w.depth < $2
  ), up (key, depth) AS (
    SELECT $1::text, 0
    UNION
    SELECT e.upstream, w.depth - 1
    FROM up w JOIN signalbox.asset_edge e ON e.downstream = w.key WHERE w.depth > -$2
  ), nearest AS (
    SELECT DISTINCT ON (key) key, depth
    FROM (SELECT * FROM down UNION ALL SELECT * FROM up) AS both_ways
    ORDER BY key, abs(depth), depth DESC
  )`;

/** An asset and what is within `depth` levels of it, nearest first. */
export function readLineageNodes(db: Tx, key: string, depth: number): Promise<LineageNodeRow[]> {
  return db.query<LineageNodeRow>(
    `${WALK}
     SELECT n.key, n.depth, a.declared_policy, a.set_policy, a.computed_at, a.fallback
     FROM nearest n LEFT JOIN signalbox.asset a ON a.key = n.key
     ORDER BY abs(n.depth), n.depth, n.key`,
    [key, depth],
  );
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
     WHERE e.downstream = ANY($1) AND e.upstream = ANY($1)
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
