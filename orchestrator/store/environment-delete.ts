/**
 * Deleting what is of an environment, table by table, in batches: its names tell what that is. Runs go first, with
 * all that is of them; the environment's own row goes last, so that a deletion which was cut off is gone on with.
 */
import { prefixOf } from '../../domain/environment.ts';
import { textArray } from './columns.ts';
import type { Db, Tx } from './connection.ts';
import { markDeleting } from './environment.ts';
import { growLineageEpoch } from './lineage.ts';

const AT_ONCE = 2_000;

/**
 * Tables by the column that says whose their rows are: the key of an asset, the name of a workflow, else the id of a
 * run. Read from the catalog, so that a table which comes later is among them.
 */
const OWNED = `
  SELECT c.relname AS name, CASE WHEN bool_or(a.attname = 'asset_key') THEN 'asset_key'
         WHEN bool_or(a.attname = 'workflow') THEN 'workflow' ELSE 'run_id' END AS by
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE n.nspname = 'signalbox' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND c.relname NOT IN ('run', 'run_live', 'execution')
    AND (a.attname, a.atttypid) IN (
      ('asset_key', 'text'::regtype), ('workflow', 'text'::regtype), ('run_id', 'uuid'::regtype))
  GROUP BY c.relname ORDER BY 1`;

interface Owned {
  readonly name: string;
  readonly by: 'asset_key' | 'workflow' | 'run_id';
}

/** Small, or without an index by name: [table, column]. */
const BY_PREFIX = [
  ['sensor_event', 'sensor'],
  ['sensor', 'name'],
  ['artifact', 'key'],
  ['flow_event', 'name'],
  ['dynamic_partition', 'name'],
  ['asset_edge', 'downstream'],
  ['asset_edge', 'upstream'],
  ['asset', 'key'],
  ['workflow', 'name'],
  ['workflow_file_error', 'file'],
  ['pool', 'name'],
  ['queue', 'name'],
  ['agent_session', 'name'],
  // All of a set's names are of one environment.
  ['definition_set', 'names[1]'],
] as const;

/** Begins to give an environment up; does nothing where that has begun, or there is none. */
export function beginDeletion(db: Db, name: string, by: string, now: Date): Promise<void> {
  return db.transaction(async (tx) => {
    if (await markDeleting(tx, name, by, now)) await stopAll(tx, prefixOf(name), now);
  });
}

/** Nothing of it starts by itself any more, and no backfill goes on. */
export async function stopAll(tx: Tx, prefix: string, now: Date): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.workflow SET paused = true, paused_at = $2 WHERE NOT paused AND starts_with(name, $1)`,
    [prefix, now],
  );
  await tx.execute(
    'UPDATE signalbox.sensor SET paused = true WHERE NOT paused AND starts_with(name, $1)',
    [prefix],
  );
  await tx.execute(
    `UPDATE signalbox.backfill SET state = 'cancelled', finished_at = $2
     WHERE state IN ('running', 'paused', 'cancelling') AND starts_with(workflow, $1)`,
    [prefix, now],
  );
}

/** Unfinished runs, those that nobody has cancelled yet first. */
export async function findUnfinished(
  db: Tx,
  prefix: string,
  limit: number,
): Promise<readonly { readonly id: string; readonly cancelled: boolean }[]> {
  return db.query(
    `SELECT run_id AS id, cancel_reason IS NOT NULL AS cancelled FROM signalbox.run_live
     WHERE starts_with(workflow, $1) ORDER BY cancel_reason IS NOT NULL, run_id LIMIT $2`,
    [prefix, limit],
  );
}

/** Ids and public ids of live sessions of its agents. */
export function findSessions(
  db: Tx,
  prefix: string,
): Promise<{ readonly id: string; readonly publicId: string }[]> {
  return db.query(
    `SELECT id, public_id AS "publicId" FROM signalbox.agent_session
     WHERE state = 'live' AND starts_with(name, $1)`,
    [prefix],
  );
}

/** Deletes everything but the environment's own row. Nothing of it may be live. */
export async function deleteContents(db: Db, prefix: string): Promise<void> {
  const workflows = await namesOf(
    db,
    `SELECT name FROM signalbox.workflow WHERE starts_with(name, $1)
     UNION SELECT workflow FROM signalbox.workflow_version WHERE starts_with(workflow, $1)`,
    prefix,
  );
  const assets = await namesOf(
    db,
    `SELECT key FROM signalbox.asset WHERE starts_with(key, $1)
     UNION SELECT downstream FROM signalbox.asset_edge WHERE starts_with(downstream, $1)
     UNION SELECT upstream FROM signalbox.asset_edge WHERE starts_with(upstream, $1)
     UNION SELECT asset_key FROM signalbox.asset_task WHERE starts_with(asset_key, $1)
     UNION SELECT asset_key FROM signalbox.asset_check_definition WHERE starts_with(asset_key, $1)`,
    prefix,
  );
  const owned = await db.query<Owned>(OWNED);
  const ofRuns = owned.filter(({ by }) => by === 'run_id').map(({ name }) => name);
  await inBatches(() => deleteRuns(db, workflows, ['run_live', ...ofRuns]));
  for (const { name, by } of owned) {
    if (by !== 'run_id') await deleteBy(db, name, by, by === 'workflow' ? workflows : assets);
  }
  for (const [table, column] of BY_PREFIX) {
    await inBatches(() =>
      db.execute(
        `DELETE FROM signalbox.${table} WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM signalbox.${table} WHERE starts_with(${column}, $1) LIMIT ${AT_ONCE}))`,
        [prefix],
      ),
    );
  }
  await db.transaction(growLineageEpoch);
}

export async function deleteEnvironmentRow(db: Tx, name: string): Promise<void> {
  await db.execute(`DELETE FROM signalbox.environment WHERE name = $1 AND state = 'deleting'`, [
    name,
  ]);
}

async function namesOf(db: Tx, sql: string, prefix: string): Promise<readonly string[]> {
  return (await db.rows<readonly [string]>(sql, [prefix])).map(([name]) => name);
}

async function deleteRuns(
  db: Db,
  workflows: readonly string[],
  tables: readonly string[],
): Promise<number> {
  return db.transaction(async (tx) => {
    const rows = await tx.rows<readonly [string]>(
      `SELECT id FROM signalbox.run WHERE workflow = ANY($1::text[]) LIMIT ${AT_ONCE}`,
      [textArray(workflows)],
    );
    if (rows.length === 0) return 0;
    const ids = textArray(rows.map(([id]) => id));
    for (const table of tables) {
      await tx.execute(`DELETE FROM signalbox.${table} WHERE run_id = ANY($1::uuid[])`, [ids]);
    }
    await tx.execute('DELETE FROM signalbox.run WHERE id = ANY($1::uuid[])', [ids]);
    return rows.length;
  });
}

async function deleteBy(
  db: Db,
  table: string,
  column: string,
  names: readonly string[],
): Promise<void> {
  await inBatches(() =>
    db.execute(
      `DELETE FROM signalbox.${table} WHERE ctid = ANY(ARRAY(
         SELECT ctid FROM signalbox.${table} WHERE ${column} = ANY($1::text[]) LIMIT ${AT_ONCE}))`,
      [textArray(names)],
    ),
  );
}

/** @param work deletes up to `AT_ONCE` rows, and tells how many */
async function inBatches(work: () => Promise<number>): Promise<void> {
  for (let deleted = AT_ONCE; deleted >= AT_ONCE; ) deleted = await work();
}
