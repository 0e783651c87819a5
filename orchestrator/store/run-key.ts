/**
 * Concurrency keys of runs: who works holds the key of its run, the others wait as `scheduled`. What a run holds
 * counts while it has a row in run_live. Whoever gives a key away holds the lock of its workflow (or, for keys that
 * workflows share, of all such keys), so that two servers never give it to two runs.
 */
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface RunKey {
  readonly runId: string;
  readonly workflow: string;
  readonly key: string;
  readonly max: number;
  readonly priority: number;
  readonly held: boolean;
}

/** What to lock (`lockActiveRuns`) for keys that several workflows share. */
export const SHARED_KEYS = '* concurrency keys';

const COUNT = `
  SELECT k.key, (
    SELECT count(*)::int FROM signalbox.run_key h JOIN signalbox.run_live l ON l.run_id = h.run_id
    WHERE h.key = k.key AND h.held), (
    SELECT count(*)::int FROM signalbox.run_key w JOIN signalbox.run_live l ON l.run_id = w.run_id
    WHERE w.workflow = k.workflow AND w.key = k.key AND NOT w.held)
  FROM unnest($1::text[], $2::text[]) AS k (workflow, key)`;

/** How many runs hold each key, and how many wait for it. */
export async function countKeys(
  tx: Tx,
  keys: readonly { readonly workflow: string; readonly key: string }[],
): Promise<ReadonlyMap<string, { readonly held: number; readonly waiting: number }>> {
  const rows = await tx.rows<readonly [string, number, number]>(COUNT, [
    textArray(keys.map(({ workflow }) => workflow)),
    textArray(keys.map(({ key }) => key)),
  ]);
  return new Map(rows.map(([key, held, waiting]) => [key, { held, waiting }]));
}

export async function insertRunKeys(tx: Tx, keys: readonly RunKey[]): Promise<void> {
  if (keys.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.run_key (run_id, workflow, key, max, priority, held)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::smallint[], $6::boolean[])
     ON CONFLICT (run_id) DO UPDATE SET held = excluded.held, priority = excluded.priority, max = excluded.max`,
    [
      plainArray(keys.map(({ runId }) => runId)),
      textArray(keys.map(({ workflow }) => workflow)),
      textArray(keys.map(({ key }) => key)),
      plainArray(keys.map(({ max }) => max)),
      plainArray(keys.map(({ priority }) => priority)),
      plainArray(keys.map(({ held }) => String(held))),
    ],
  );
}

/** A key that a run waits for, and who holds it. */
export interface KeyWait {
  readonly key: string;
  readonly max: number;
  readonly holders: readonly string[];
}

/** Undefined where the run waits for no key, or for one that nobody has kept from it. */
export async function readKeyWait(tx: Tx, runId: string): Promise<KeyWait | undefined> {
  const [row] = await tx.query<KeyWait>(
    `SELECT w.key, w.max, ARRAY(
       SELECT h.run_id::text FROM signalbox.run_key h JOIN signalbox.run_live l ON l.run_id = h.run_id
       WHERE h.key = w.key AND h.held ORDER BY h.run_id LIMIT 100) AS holders
     FROM signalbox.run_key w WHERE w.run_id = $1 AND NOT w.held`,
    [runId],
  );
  return row && row.holders.length >= row.max ? row : undefined;
}

/** Whether runs of the workflow wait for keys of its own, or for such as others share. */
export async function waitForKeys(
  tx: Tx,
  workflow: string,
): Promise<{ readonly any: boolean; readonly shared: boolean }> {
  const [row] = await tx.query<{ any: boolean; shared: boolean }>(
    `SELECT EXISTS (SELECT FROM signalbox.run_key WHERE workflow = $1 AND NOT held) AS any,
            EXISTS (SELECT FROM signalbox.run_key WHERE workflow = $1 AND NOT held AND key >= ':' AND key < ';') AS shared`,
    [workflow],
  );
  return row ?? { any: false, shared: false };
}

/** Of each key only as many are read as may have it. */
const GIVE = `
  WITH RECURSIVE keys AS (
    (SELECT key FROM signalbox.run_key WHERE workflow = $1 AND NOT held ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT w.key FROM signalbox.run_key w WHERE w.workflow = $1 AND NOT w.held AND w.key > k.key
            ORDER BY w.key LIMIT 1)
    FROM keys k WHERE k.key IS NOT NULL
  ), given AS MATERIALIZED (
    SELECT g.run_id FROM keys k
    CROSS JOIN LATERAL (
      SELECT count(*) AS count FROM signalbox.run_key h JOIN signalbox.run_live l ON l.run_id = h.run_id
      WHERE h.key = k.key AND h.held) used
    CROSS JOIN LATERAL (
      SELECT w.max FROM signalbox.run_key w WHERE w.workflow = $1 AND w.key = k.key AND NOT w.held LIMIT 1) f
    CROSS JOIN LATERAL (
      SELECT w.run_id FROM signalbox.run_key w JOIN signalbox.run_live l ON l.run_id = w.run_id
      WHERE w.workflow = $1 AND w.key = k.key AND NOT w.held
        AND l.state = 'scheduled' AND l.cancel_reason IS NULL AND l.paused_at IS NULL
        AND NOT EXISTS (SELECT FROM signalbox.run_hold o WHERE o.run_id = w.run_id)
      ORDER BY w.priority DESC, w.run_id LIMIT greatest(0, f.max - used.count)) g
    WHERE k.key IS NOT NULL)
  UPDATE signalbox.run_key r SET held = true FROM given WHERE r.run_id = given.run_id`;

/** Gives keys that are free to runs that wait for them, the most urgent first; forgets those of ended runs. */
export async function giveKeys(tx: Tx, workflow: string): Promise<void> {
  await tx.execute(
    `DELETE FROM signalbox.run_key k WHERE k.workflow = $1
       AND NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.run_id = k.run_id)`,
    [workflow],
  );
  await tx.execute(GIVE, [workflow]);
}

const SURPLUS = `
  WITH keys AS MATERIALIZED (
    SELECT DISTINCT w.key FROM signalbox.run_key w
    JOIN signalbox.run_live l ON l.run_id = w.run_id
    JOIN signalbox.workflow_version v ON v.id = l.version_id
    WHERE NOT w.held AND v.graph -> 'concurrency' ->> 'strategy' = 'cancel-running'
  ), ranked AS (
    SELECT k.run_id, k.key, k.max, l.cancel_reason, row_number() OVER (PARTITION BY k.key ORDER BY k.run_id DESC) AS nth
    FROM keys JOIN signalbox.run_key k ON k.key = keys.key JOIN signalbox.run_live l ON l.run_id = k.run_id)
  SELECT run_id AS "runId", key FROM ranked WHERE nth > max AND cancel_reason IS NULL LIMIT 500`;

/** Runs that newer ones of the same key take the place of. */
export function findReplaced(db: Tx): Promise<{ runId: string; key: string }[]> {
  return db.query<{ runId: string; key: string }>(SURPLUS);
}
