/**
 * Brings PostgreSQL up to date: the plain SQL files of each module, numbered, forward only, each in a
 * transaction of its own and recorded with its hash. One advisory lock makes any number of servers that start
 * at once take turns. A file that was changed after it had been applied is an error, never a guess.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { DatabaseError, describeConnectError } from './database-error.ts';

/** In the order of their dependencies. */
const MODULES = [
  {
    module: 'orchestrator',
    directory: new URL('../orchestrator/store/migrations/', import.meta.url),
  },
  { module: 'incidents', directory: new URL('../incidents/store/migrations/', import.meta.url) },
  { module: 'server', directory: new URL('./store/migrations/', import.meta.url) },
] as const;

const LEAST_VERSION = 15;
/** Any number, as long as all servers take the same. */
const LOCK_KEY = 7_446_129_001;
const CONNECT_TIMEOUT_MS = 10_000;
const FILE_NAME = /^\d{4}_[a-z0-9_]+\.sql$/;

const LEDGER = `
  CREATE SCHEMA IF NOT EXISTS signalbox;
  CREATE TABLE IF NOT EXISTS signalbox.migration (
    module     text NOT NULL,
    name       text NOT NULL,
    hash       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (module, name)
  )`;

interface Migration {
  readonly module: string;
  readonly name: string;
  readonly hash: string;
  readonly sql: string;
}

export interface MigrationState {
  readonly module: string;
  readonly name: string;
  readonly state: 'applied' | 'pending' | 'changed';
}

/**
 * Applies what is missing; harmless when repeated.
 * @returns what was applied now, as `module/name`
 * @throws DatabaseError that says what is wrong and what to do
 */
export function migrate(databaseUrl: string): Promise<readonly string[]> {
  return withClient(databaseUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    try {
      await client.query(LEDGER);
      const applied = await readApplied(client);
      const done: string[] = [];
      for (const migration of await readMigrations()) {
        const hash = applied.get(keyOf(migration));
        if (hash === undefined) {
          await apply(client, migration);
          done.push(keyOf(migration));
        } else if (hash !== migration.hash) {
          throw new DatabaseError(
            `Migration ${keyOf(migration)} was changed after it had been applied`,
            'Restore the file as it was and put the change into a new migration.',
          );
        }
      }
      return done;
    } finally {
      await client.query('SELECT pg_advisory_unlock($1)', [LOCK_KEY]);
    }
  });
}

/** What is applied, what is not, without changing anything. */
export function migrationStates(databaseUrl: string): Promise<readonly MigrationState[]> {
  return withClient(databaseUrl, async (client) => {
    const ledger = await client.query(`SELECT to_regclass('signalbox.migration') AS found`);
    const applied = ledger.rows[0]?.found === null ? new Map() : await readApplied(client);
    return (await readMigrations()).map((migration) => {
      const hash = applied.get(keyOf(migration));
      const state =
        hash === undefined ? 'pending' : hash === migration.hash ? 'applied' : 'changed';
      return { module: migration.module, name: migration.name, state };
    });
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'signalbox-migrate',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw describeConnectError(error, url);
  }
  try {
    await refuseOldServer(client);
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function refuseOldServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query('SHOW server_version_num');
  const number = Number(rows[0]?.server_version_num);
  if (Math.floor(number / 10_000) >= LEAST_VERSION) return;
  throw new DatabaseError(
    `The database is PostgreSQL ${Math.floor(number / 10_000)}; Signalbox needs ${LEAST_VERSION} or later`,
    'Upgrade the server, or set DATABASE_URL to a newer one.',
  );
}

async function readApplied(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query('SELECT module, name, hash FROM signalbox.migration');
  return new Map(rows.map((row) => [keyOf(row), row.hash]));
}

async function readMigrations(): Promise<Migration[]> {
  const migrations: Migration[] = [];
  for (const { module, directory } of MODULES) {
    const files = await readdir(directory);
    for (const name of files.filter((file) => FILE_NAME.test(file)).sort()) {
      const sql = await readFile(new URL(name, directory), 'utf8');
      migrations.push({ module, name, sql, hash: createHash('sha256').update(sql).digest('hex') });
    }
  }
  return migrations;
}

function keyOf(migration: { module: string; name: string }): string {
  return `${migration.module}/${migration.name}`;
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(migration.sql);
    await client.query('INSERT INTO signalbox.migration (module, name, hash) VALUES ($1, $2, $3)', [
      migration.module,
      migration.name,
      migration.hash,
    ]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw new DatabaseError(
      `Migration ${keyOf(migration)} failed: ${error instanceof Error ? error.message : error}`,
      'Nothing of it was kept. Mend the cause and start again.',
      { cause: error },
    );
  }
}
