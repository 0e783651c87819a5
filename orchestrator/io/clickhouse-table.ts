/**
 * Values as rows of a table in the user's ClickHouse. A version is written into a table of its own; when it is
 * published it takes the place of the table that is read (`EXCHANGE TABLES`, or `REPLACE PARTITION` of the asset's
 * partition), which is one step. What a writer that died has left is taken away by the next one.
 */
import type { IoManager, ReadContext, Row, StagedVersion, WriteContext } from '../define/io.ts';
import { isStream } from '../define/io.ts';
import {
  DefinitionError,
  inDefinition,
  optional,
  type Read,
  readOptions,
} from '../define/options.ts';
import { collect, toTable } from './batches.ts';
import { type ClickHouse, clickHouseAt, quote } from './clickhouse-http.ts';
import { columnsOf, createTable, insertBatch, rowsIn } from './clickhouse-rows.ts';
import { type Column, ColumnError, type Columns, readColumns } from './columns.ts';
import { identifier, tableOf, withHash } from './identifiers.ts';

export interface ClickHouseTableOptions {
  /** `http://user:password@host:8123` */
  readonly url: string;
  /** `default` unless told. */
  readonly database?: string;
  /** Made of the asset's key unless told. */
  readonly table?: string;
  /** Types by column; without it they follow from the first 1,000 rows. */
  readonly columns?: Columns;
  /** Columns that the table is sorted by; none unless told. They take no nulls. */
  readonly orderBy?: readonly string[];
  /** Column that tells partitions apart, of an asset that has some; `partition_key` unless told. */
  readonly partitionColumn?: string;
}

export interface Settings {
  readonly url: string;
  readonly database: string;
  readonly table: string | null;
  readonly columns: readonly Column[] | null;
  readonly orderBy: readonly string[];
  readonly partitionColumn: string;
}

const BATCH_ROWS = 20_000;

/** Keeps an asset in a table; rows may come as an array or as an async iterable. */
export function clickhouseTable(options: ClickHouseTableOptions): IoManager {
  return inDefinition('clickhouseTable', () => {
    const settings: Settings = readOptions(options, {
      url: address,
      database: (value: unknown) => identifier(value ?? 'default'),
      table: optional(identifier),
      columns: readColumns,
      orderBy: names,
      partitionColumn: (value: unknown) => identifier(value ?? 'partition_key'),
    });
    return {
      kind: 'clickhouse-table',
      stage: (context: WriteContext, value: unknown) => stage(settings, context, value),
      async read(context: ReadContext) {
        const rows = readTable(settings, context);
        return context.stream ? rows : collect(rows);
      },
    };
  });
}

const address: Read<string> = (value) => {
  if (typeof value === 'string' && URL.canParse(value) && /^https?:/.test(value)) return value;
  throw new DefinitionError('must be an address such as http://user:password@host:8123');
};

const names: Read<readonly string[]> = (value = []) => {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
  throw new DefinitionError('must be a list of columns');
};

/** Names of the tables of one write, quoted with their database. */
interface Tables {
  readonly target: string;
  readonly staging: string;
}

async function stage(
  settings: Settings,
  context: WriteContext,
  value: unknown,
): Promise<StagedVersion> {
  const table = settings.table ?? tableOf(context.assetKey);
  const { database } = settings;
  const target = `${quote(database)}.${quote(table)}`;
  // A name for each version and partition: its next attempt takes away what this one leaves.
  const own = `${table}/${context.versionId}/${context.partitionKey ?? ''}/${context.attempt}`;
  const tables = { target, staging: `${quote(database)}.${quote(withHash(`${table}__new`, own))}` };
  const clickhouse = await clickHouseAt(settings.url, context.signal);
  const tabular = await toTable(value, settings.columns, BATCH_ROWS, context.signal);
  try {
    const columns = await prepare(clickhouse, settings, context, tables, tabular.columns);
    for await (const batch of tabular.batches) {
      await insertBatch(clickhouse, tables.staging, columns, context.partitionKey, settings, batch);
    }
    const { rows, sizeBytes } = tabular.counted;
    const all = () => rowsIn(clickhouse, tables.staging, columns, null, settings);
    return {
      written: { location: { database, table }, rows, sizeBytes, schema: columns },
      read: () => (isStream(value) ? all() : collect(all())),
      async publish() {
        context.signal.throwIfAborted();
        await publish(clickhouse, context, tables);
        await clickhouse.close();
      },
      async discard() {
        await clickhouse.tidy(`DROP TABLE IF EXISTS ${tables.staging} SYNC`);
        await clickhouse.close();
      },
    };
  } catch (error) {
    await tabular.batches.return();
    await clickhouse.tidy(`DROP TABLE IF EXISTS ${tables.staging} SYNC`);
    await clickhouse.close();
    throw error;
  }
}

async function prepare(
  clickhouse: ClickHouse,
  settings: Settings,
  context: WriteContext,
  { target, staging }: Tables,
  given: readonly Column[],
): Promise<readonly Column[]> {
  const { partitionKey } = context;
  await dropAbandoned(clickhouse, settings, context);
  await clickhouse.run(`DROP TABLE IF EXISTS ${staging} SYNC`);
  const there = partitionKey === undefined ? null : await columnsOf(clickhouse, target);
  if (given.length === 0 && there === null) {
    throw new ColumnError('there are no rows to tell the columns from: name them with "columns"');
  }
  if (there === null) {
    await createTable(clickhouse, staging, given, partitionKey !== undefined, settings);
    return given;
  }
  // Other partitions are in the table: this one must have its columns.
  const odd = given.find(({ name }) => !there.has(name));
  if (odd !== undefined) {
    throw new ColumnError(
      `the table ${target} has no column ${JSON.stringify(odd.name)}: other partitions are in it, so add the column by hand`,
    );
  }
  await clickhouse.run(`CREATE TABLE ${staging} AS ${target}`);
  return given;
}

async function publish(
  clickhouse: ClickHouse,
  { partitionKey }: WriteContext,
  { target, staging }: Tables,
): Promise<void> {
  const exists = async () => (await columnsOf(clickhouse, target)) !== null;
  if (!(await exists())) {
    try {
      await clickhouse.run(`RENAME TABLE ${staging} TO ${target}`);
      return;
    } catch (error) {
      // Another partition's writer was the first.
      if (!(await exists())) throw error;
    }
  }
  if (partitionKey === undefined) {
    await clickhouse.run(`EXCHANGE TABLES ${staging} AND ${target}`);
  } else {
    const partition = clickhouse.text(partitionKey);
    await clickhouse.run(`ALTER TABLE ${target} REPLACE PARTITION ${partition} FROM ${staging}`);
  }
  await clickhouse.tidy(`DROP TABLE IF EXISTS ${staging} SYNC`);
}

/** Staging tables of attempts that are surely over: earlier ones of this version, and all that nobody touched for a day. */
async function dropAbandoned(
  clickhouse: ClickHouse,
  { database, table: named }: Settings,
  context: WriteContext,
): Promise<void> {
  const table = named ?? tableOf(context.assetKey);
  for (let attempt = 1; attempt < context.attempt; attempt += 1) {
    const own = `${table}/${context.versionId}/${context.partitionKey ?? ''}/${attempt}`;
    const name = quote(withHash(`${table}__new`, own));
    await clickhouse.run(`DROP TABLE IF EXISTS ${quote(database)}.${name} SYNC`);
  }
  const prefix = withHash(`${table}__new`, '').slice(0, -8);
  const left = await clickhouse
    .rows<[string]>(
      `SELECT name FROM system.tables WHERE database = ${clickhouse.text(database)}
       AND startsWith(name, ${clickhouse.text(prefix)}) AND metadata_modification_time < now() - 86400`,
    )
    // Not everybody may read the system's tables.
    .catch(() => []);
  for (const [name] of left) {
    await clickhouse.run(`DROP TABLE IF EXISTS ${quote(database)}.${quote(name)} SYNC`);
  }
}

async function* readTable(settings: Settings, context: ReadContext): AsyncGenerator<Row, void> {
  const { database, assetKey } = { database: settings.database, assetKey: context.assetKey };
  const target = `${quote(database)}.${quote(settings.table ?? tableOf(assetKey))}`;
  const clickhouse = await clickHouseAt(settings.url, context.signal);
  try {
    const { partitionKey = null } = context;
    const schema = context.schema as readonly Column[] | null;
    yield* rowsIn(clickhouse, target, schema, partitionKey, settings);
  } finally {
    await clickhouse.close();
  }
}
