/**
 * Migrations of ClickHouse: numbered SQL files, forward only, each recorded once it is through. ClickHouse has
 * no transactional DDL, so every statement can be repeated (`IF NOT EXISTS`): a migration that was cut off in
 * the middle is run again from its beginning, and two servers that migrate at once do no harm.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { ClickHouseClient } from '@clickhouse/client';

const DIRECTORY = new URL('./migrations/', import.meta.url);
const FILE_NAME = /^(\d{4})_([a-z0-9_]+)\.sql$/;

const LEDGER = [
  'CREATE DATABASE IF NOT EXISTS signalbox',
  `CREATE TABLE IF NOT EXISTS signalbox.schema_migrations
   (
     version     UInt32,
     name        String,
     checksum    String,
     applied_at  DateTime64(3, 'UTC') DEFAULT now64(3)
   )
   ENGINE = MergeTree
   ORDER BY version`,
];

interface Migration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  readonly statements: readonly string[];
}

/**
 * Brings the schema up to date.
 * @returns names of the migrations that were applied now
 * @throws Error naming the migration and statement that failed, or an applied one whose file has changed
 */
export async function migrateClickHouse(client: ClickHouseClient): Promise<readonly string[]> {
  for (const query of LEDGER) await client.command({ query });
  const applied = await readApplied(client);
  const done: string[] = [];
  for (const migration of await readMigrations()) {
    const checksum = applied.get(migration.version);
    if (checksum === undefined) {
      await apply(client, migration);
      done.push(migration.name);
    } else if (checksum !== migration.checksum) {
      throw new Error(
        `ClickHouse migration ${migration.name} was changed after it had been applied: restore the file and add a new migration`,
      );
    }
  }
  return done;
}

async function readApplied(client: ClickHouseClient): Promise<Map<number, string>> {
  const result = await client.query({
    query: 'SELECT version, any(checksum) AS sum FROM signalbox.schema_migrations GROUP BY version',
    format: 'JSONEachRow',
  });
  const rows = await result.json<{ version: number; sum: string }>();
  return new Map(rows.map((row) => [row.version, row.sum]));
}

async function readMigrations(): Promise<Migration[]> {
  const migrations: Migration[] = [];
  for (const file of (await readdir(DIRECTORY)).sort()) {
    const match = FILE_NAME.exec(file);
    if (!match) continue;
    const sql = await readFile(new URL(file, DIRECTORY), 'utf8');
    migrations.push({
      version: Number(match[1]),
      name: file.replace(/\.sql$/, ''),
      checksum: createHash('sha256').update(sql).digest('hex'),
      statements: splitStatements(sql),
    });
  }
  return migrations;
}

/** Statements end with a semicolon at the end of a line; whole-line comments are dropped. */
function splitStatements(sql: string): string[] {
  return sql
    .replace(/^\s*--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

async function apply(client: ClickHouseClient, migration: Migration): Promise<void> {
  for (const query of migration.statements) {
    try {
      await client.command({ query });
    } catch (error) {
      const first = query.split('\n', 1)[0];
      throw new Error(`ClickHouse migration ${migration.name} failed at: ${first}`, {
        cause: error,
      });
    }
  }
  const { version, name, checksum } = migration;
  await client.insert({
    table: 'signalbox.schema_migrations',
    values: [{ version, name, checksum }],
    format: 'JSONEachRow',
  });
}
