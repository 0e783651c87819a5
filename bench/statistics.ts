/** What PostgreSQL's planner knows of the tables: held as it is, or taken away. */
import type pg from 'pg';

/** From now on nobody but the benchmark gathers statistics. */
export async function holdStatistics(client: pg.ClientBase): Promise<void> {
  for (const table of await ownTables(client)) {
    await client.query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  }
}

/** Autovacuum does its work again. */
export async function releaseStatistics(client: pg.ClientBase): Promise<void> {
  for (const table of await ownTables(client)) {
    await client.query(`ALTER TABLE ${table} RESET (autovacuum_enabled)`);
  }
}

/** As on tables that were never analyzed. */
export async function dropStatistics(client: pg.ClientBase): Promise<void> {
  const tables = await ownTables(client);
  await client.query('DELETE FROM pg_statistic WHERE starelid = ANY($1::regclass[])', [tables]);
  await client.query(
    'UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE oid = ANY($1::regclass[])',
    [tables],
  );
}

async function ownTables(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'signalbox' AND c.relkind = 'r'`,
  );
  return rows.map(({ name }) => name);
}
