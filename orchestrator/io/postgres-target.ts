/** The table that a version goes into: the one that is there where its columns fit, else a new one for its place. */
import pg from 'pg';
import { NO_COLUMNS } from './batches.ts';
import { type Column, ColumnError, type ColumnType } from './columns.ts';
import { withHash } from './identifiers.ts';

export interface TargetTable {
  readonly schema: string;
  readonly table: string;
  readonly partition: string | null;
  readonly partitionColumn: string;
}

export interface PreparedTable {
  /** Quoted name that rows are inserted into. */
  readonly into: string;
  /** Its name, as it is for now. */
  readonly table: string;
  /** Columns as the table has them, in the order of the value's. */
  readonly columns: readonly Column[];
  /** Type of each column in a table that was there; as SQL_TYPES has it in a new one. */
  readonly types: readonly string[];
  /** Quoted name of the table that is replaced when it is published; null where rows were. */
  readonly replaces: string | null;
}

export const SQL_TYPES = {
  boolean: 'boolean',
  integer: 'bigint',
  number: 'double precision',
  text: 'text',
  timestamp: 'timestamptz',
  json: 'jsonb',
} as const satisfies Record<ColumnType, string>;

/** What a column of the user's table takes; anything else stays what it is, and PostgreSQL judges. */
const TAKES: Readonly<Record<string, readonly ColumnType[]>> = {
  boolean: ['boolean'],
  bigint: ['integer'],
  integer: ['integer'],
  smallint: ['integer'],
  numeric: ['integer', 'number', 'text'],
  'double precision': ['integer', 'number'],
  real: ['integer', 'number'],
  text: ['text'],
  'character varying': ['text'],
  uuid: ['text'],
  date: ['text', 'timestamp'],
  'timestamp with time zone': ['timestamp', 'text'],
  'timestamp without time zone': ['timestamp', 'text'],
  jsonb: ['json', 'text', 'integer', 'number', 'boolean'],
  json: ['json', 'text', 'integer', 'number', 'boolean'],
};

/** A reader that holds the table for longer makes the attempt fail, rather than all other readers wait. */
const LOCK_LIMIT = "SET LOCAL lock_timeout = '30s'";

const UNIQUE_VIOLATION = '23505';

const COLUMNS = `
  SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
    AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`;

/** Begins the transaction and takes the rows away that the version replaces. One writer at a time. */
export async function prepareTarget(
  client: pg.ClientBase,
  target: TargetTable,
  columns: readonly Column[],
): Promise<PreparedTable> {
  const full = quoted(target);
  await ensureSchema(client, target.schema);
  if (target.partition !== null) await addColumns(client, target, columns);
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `signalbox/io/${full}`,
  ]);
  const there = await columnsOf(client, target);
  if (columns.length === 0 && there.size === 0) {
    throw new ColumnError(NO_COLUMNS);
  }
  if (there.size > 0 && fits(there, target, columns)) {
    await removeRows(client, target, full);
    const { table } = target;
    return { into: full, table, columns, types: typesOf(columns, there), replaces: null };
  }
  const partition =
    target.partition === null
      ? []
      : [`${pg.escapeIdentifier(target.partitionColumn)} text NOT NULL`];
  const lines = columns.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${SQL_TYPES[type]}`);
  const fresh = { ...target, table: withHash(target.table, `new/${full}`) };
  await client.query(`CREATE TABLE ${quoted(fresh)} (${[...partition, ...lines].join(', ')})`);
  const types = columns.map(({ type }) => SQL_TYPES[type]);
  return { into: quoted(fresh), table: fresh.table, columns, types, replaces: full };
}

/**
 * Goes on with another partition in the transaction that `prepareTarget` has begun: into the same table, which grows
 * by columns where it must.
 */
export async function prepareNext(
  client: pg.ClientBase,
  before: PreparedTable,
  target: TargetTable,
  columns: readonly Column[],
): Promise<PreparedTable> {
  const place = { ...target, table: before.table };
  const there = await columnsOf(client, place);
  const added = columns.filter(({ name }) => !there.has(name));
  if (added.length > 0) {
    await client.query(`${LOCK_LIMIT}; ALTER TABLE ${before.into} ${addingOf(added)}`);
  }
  const now = new Map([
    ...there,
    ...added.map(({ name, type }) => [name, SQL_TYPES[type]] as const),
  ]);
  fits(now, place, columns);
  await removeRows(client, target, before.into);
  return { ...before, columns, types: typesOf(columns, now) };
}

/** Whether the table is there already. */
export async function hasTable(client: pg.ClientBase, target: TargetTable): Promise<boolean> {
  return (await columnsOf(client, target)).size > 0;
}

function typesOf(columns: readonly Column[], there: ReadonlyMap<string, string>): string[] {
  return columns.map(({ name, type }) => there.get(name) ?? SQL_TYPES[type]);
}

function addingOf(columns: readonly Column[]): string {
  return columns
    .map(
      ({ name, type }) =>
        `ADD COLUMN IF NOT EXISTS ${pg.escapeIdentifier(name)} ${SQL_TYPES[type]}`,
    )
    .join(', ');
}

/** Puts a new table into its place; rows that were replaced are in place already. */
export async function publishTarget(
  client: pg.ClientBase,
  prepared: PreparedTable,
  target: TargetTable,
): Promise<void> {
  if (prepared.replaces === null) return;
  await client.query(LOCK_LIMIT);
  await client.query(`DROP TABLE IF EXISTS ${prepared.replaces}`);
  await client.query(`ALTER TABLE ${prepared.into} RENAME TO ${pg.escapeIdentifier(target.table)}`);
  if (target.partition === null) return;
  const column = pg.escapeIdentifier(target.partitionColumn);
  await client.query(`CREATE INDEX ON ${prepared.replaces} (${column})`);
}

async function ensureSchema(client: pg.ClientBase, schema: string): Promise<void> {
  const found = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
  if (found.rowCount !== 0) return;
  await client
    .query(`CREATE SCHEMA IF NOT EXISTS ${pg.escapeIdentifier(schema)}`)
    .catch((error: unknown) => {
      // Another writer made it at the same moment.
      if (!(error instanceof pg.DatabaseError) || error.code !== UNIQUE_VIOLATION) throw error;
    });
}

/** Other partitions keep their rows, so a table of partitions only ever grows by columns. */
async function addColumns(
  client: pg.ClientBase,
  target: TargetTable,
  columns: readonly Column[],
): Promise<void> {
  const there = await columnsOf(client, target);
  if (there.size === 0) return;
  if (!there.has(target.partitionColumn)) {
    throw new ColumnError(
      `${target.schema}.${target.table} has no column ${target.partitionColumn} that tells partitions apart: add it, or name the one there is with "partitionColumn"`,
    );
  }
  const added = columns.filter(({ name }) => !there.has(name));
  if (added.length === 0) return;
  await client.query(
    `BEGIN; ${LOCK_LIMIT}; ALTER TABLE ${quoted(target)} ${addingOf(added)}; COMMIT`,
  );
}

async function columnsOf(
  client: pg.ClientBase,
  { schema, table }: TargetTable,
): Promise<ReadonlyMap<string, string>> {
  const found = await client.query<{ name: string; type: string }>(COLUMNS, [schema, table]);
  return new Map(found.rows.map(({ name, type }) => [name, type]));
}

/** @throws ColumnError where a table of partitions has a column of another type */
function fits(
  there: ReadonlyMap<string, string>,
  target: TargetTable,
  columns: readonly Column[],
): boolean {
  const odd = columns.find(({ name, type }) => {
    const is = there.get(name);
    return is === undefined || !(TAKES[is]?.includes(type) ?? true);
  });
  if (target.partition === null) {
    return odd === undefined && there.size === (columns.length === 0 ? there.size : columns.length);
  }
  if (odd === undefined) return true;
  throw new ColumnError(
    `the column ${JSON.stringify(odd.name)} of ${target.schema}.${target.table} is ${there.get(odd.name)}, and the value's is ${odd.type}: other partitions are in the table, so change its type by hand`,
  );
}

async function removeRows(client: pg.ClientBase, target: TargetTable, full: string): Promise<void> {
  if (target.partition === null) await client.query(`DELETE FROM ${full}`);
  else {
    const column = pg.escapeIdentifier(target.partitionColumn);
    await client.query(`DELETE FROM ${full} WHERE ${column} = $1`, [target.partition]);
  }
}

function quoted({ schema, table }: Pick<TargetTable, 'schema' | 'table'>): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
}
