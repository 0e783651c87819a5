/**
 * Values as rows of a table in the user's ClickHouse. A version is written into a table of its own; when it is
 * published it takes the place of the table that is read (`EXCHANGE TABLES`, or `REPLACE PARTITION` of the asset's
 * partition), which is one step; see `clickhouse-publish.ts`. What a writer that died has left is taken away by the next one.
 */
import type {
  IoManager,
  RangeContext,
  ReadContext,
  Row,
  StagedRange,
  StagedVersion,
  WriteContext,
} from '../define/io.ts';
import { isStream } from '../define/io.ts';
import {
  DefinitionError,
  inDefinition,
  optional,
  type Read,
  readOptions,
} from '../define/options.ts';
import { collect, NO_COLUMNS, toTable } from './batches.ts';
import { type ClickHouse, clickHouseAt, quote } from './clickhouse-http.ts';
import { publish, type Tables } from './clickhouse-publish.ts';
import { columnsOf, createTable, growTable, insertBatch, rowsIn } from './clickhouse-rows.ts';
import { type Column, ColumnError, type Columns, readColumns } from './columns.ts';
import { tableIn } from './environment.ts';
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
  /** Null for production. */
  readonly environment: string | null;
  readonly columns: readonly Column[] | null;
  readonly orderBy: readonly string[];
  readonly partitionColumn: string;
}

const BATCH_ROWS = 20_000;

/** Keeps an asset in a table; rows may come as an array or as an async iterable. */
export function clickhouseTable(options: ClickHouseTableOptions): IoManager {
  return inDefinition('clickhouseTable', () => {
    const read = readOptions(options, {
      url: address,
      database: (value: unknown) => identifier(value ?? 'default'),
      table: optional(identifier),
      columns: readColumns,
      orderBy: names,
      partitionColumn: (value: unknown) => identifier(value ?? 'partition_key'),
    });
    return managerOf({ ...read, environment: null });
  });
}

function managerOf(settings: Settings): IoManager {
  return {
    kind: 'clickhouse-table',
    stage: (context: WriteContext, value: unknown) => stage(settings, context, value),
    stageRange: (context: RangeContext) => stageRange(settings, context),
    async read(context: ReadContext) {
      const rows = readTable(settings, context);
      return context.stream ? rows : collect(rows);
    },
    inEnvironment: (environment) => managerOf({ ...settings, environment }),
  };
}

const address: Read<string> = (value) => {
  if (typeof value === 'string' && URL.canParse(value) && /^https?:/.test(value)) return value;
  throw new DefinitionError('must be an address such as http://user:password@host:8123');
};

const names: Read<readonly string[]> = (value = []) => {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
  throw new DefinitionError('must be a list of columns');
};

async function stage(
  settings: Settings,
  context: WriteContext,
  value: unknown,
): Promise<StagedVersion> {
  const { partitionKey } = context;
  const write = await openWrite(
    settings,
    context,
    partitionKey === undefined ? null : [partitionKey],
  );
  const staged = await write.add(partitionKey, value);
  return { ...staged, publish: write.publish, discard: write.discard };
}

async function stageRange(settings: Settings, context: RangeContext): Promise<StagedRange> {
  const { partitionKeys, ...of } = context;
  const write = await openWrite(settings, of, partitionKeys);
  return { stage: write.add, publish: write.publish, discard: write.discard };
}

interface OpenWrite extends Pick<StagedVersion, 'publish' | 'discard'> {
  add(
    partitionKey: string | undefined,
    value: unknown,
  ): Promise<Pick<StagedVersion, 'written' | 'read'>>;
}

/** One staging table, which takes one version or those of several partitions. */
async function openWrite(
  settings: Settings,
  context: Omit<WriteContext, 'partitionKey'>,
  partitionKeys: readonly string[] | null,
): Promise<OpenWrite> {
  const table = tableIn(settings.table ?? tableOf(context.assetKey), settings.environment);
  const { database } = settings;
  const { signal } = context;
  const name = (of: string) => `${quote(database)}.${quote(of)}`;
  const of = { table, key: partitionKeys?.join('|') ?? '', versionId: context.versionId };
  const tables: Tables = {
    ...{ database, table, target: name(table) },
    staging: name(stagingOf(of, context.attempt)),
    whole: name(stagingOf({ ...of, key: `whole/${of.key}` }, context.attempt)),
  };
  const clickhouse = await clickHouseAt(settings.url, signal);
  let prepared = false;
  const discard = async () => {
    await clickhouse.tidy(`DROP TABLE IF EXISTS ${tables.staging} SYNC`);
    await clickhouse.close();
  };
  const prepare = async (columns: readonly Column[]) => {
    if (prepared) return growTable(clickhouse, tables.staging, columns);
    await dropAbandoned(clickhouse, settings, of, context.attempt);
    await createStaging(clickhouse, settings, tables, columns, partitionKeys !== null);
    prepared = true;
  };
  return {
    discard,
    async add(partitionKey, value) {
      const tabular = await toTable(value, settings.columns, BATCH_ROWS, signal);
      try {
        const { columns } = tabular;
        // No rows say nothing of the columns; those of another partition of the range may.
        const silent = columns.length === 0 && (partitionKeys?.length ?? 0) > 1 && !prepared;
        if (silent && (await columnsOf(clickhouse, tables.target)) === null) {
          return { written: { rows: 0, sizeBytes: 0 }, read: () => [] };
        }
        await prepare(columns);
        for await (const batch of tabular.batches) {
          await insertBatch(clickhouse, tables.staging, columns, partitionKey, settings, batch);
        }
        const { rows, sizeBytes } = tabular.counted;
        const all = () =>
          rowsIn(clickhouse, tables.staging, columns, partitionKey ?? null, settings);
        return {
          written: { location: { database, table }, rows, sizeBytes, schema: columns },
          read: () => (isStream(value) ? all() : collect(all())),
        };
      } catch (error) {
        await tabular.batches.return();
        await discard();
        throw error;
      }
    },
    async publish() {
      signal.throwIfAborted();
      if (!prepared) throw new ColumnError(NO_COLUMNS);
      await publish(clickhouse, tables, settings, partitionKeys);
      await clickhouse.close();
    },
  };
}

/** The name of a staging table: its next attempt takes away what this one leaves. */
function stagingOf(of: StagingName, attempt: number): string {
  return withHash(`${of.table}__new`, `${of.table}/${of.versionId}/${of.key}/${attempt}`);
}

interface StagingName {
  readonly table: string;
  readonly versionId: string;
  /** Of the partitions that it takes. */
  readonly key: string;
}

async function createStaging(
  clickhouse: ClickHouse,
  settings: Settings,
  { target, staging }: Tables,
  given: readonly Column[],
  partitioned: boolean,
): Promise<void> {
  await clickhouse.run(`DROP TABLE IF EXISTS ${staging} SYNC`);
  const there = partitioned ? await columnsOf(clickhouse, target) : null;
  if (given.length === 0 && there === null) throw new ColumnError(NO_COLUMNS);
  if (there === null) {
    await createTable(clickhouse, staging, given, partitioned, settings);
    return;
  }
  // Other partitions are in the table: it only ever grows by columns, and this one has what it has.
  await growTable(clickhouse, target, given, there);
  await clickhouse.run(`CREATE TABLE ${staging} AS ${target}`);
}

/** Staging tables of attempts that are surely over: earlier ones of this version, and all that nobody touched for a day. */
async function dropAbandoned(
  clickhouse: ClickHouse,
  { database }: Settings,
  of: StagingName,
  before: number,
): Promise<void> {
  for (let attempt = 1; attempt < before; attempt += 1) {
    for (const key of [of.key, `whole/${of.key}`]) {
      const name = quote(stagingOf({ ...of, key }, attempt));
      await clickhouse.run(`DROP TABLE IF EXISTS ${quote(database)}.${name} SYNC`);
    }
  }
  const prefix = withHash(`${of.table}__new`, '').slice(0, -8);
  const left = await clickhouse
    .rows<[string]>(
      `SELECT name FROM system.tables WHERE database = ${clickhouse.text(database)}
       AND startsWith(name, ${clickhouse.text(prefix)})
       AND toUnixTimestamp(metadata_modification_time) BETWEEN 1 AND toUnixTimestamp(now()) - 86400`,
    )
    // Not everybody may read the system's tables, and not every server knows how old they are (it says 1970).
    .catch(() => []);
  for (const [name] of left) {
    await clickhouse.run(`DROP TABLE IF EXISTS ${quote(database)}.${quote(name)} SYNC`);
  }
}

async function* readTable(settings: Settings, context: ReadContext): AsyncGenerator<Row, void> {
  const { database, assetKey } = { database: settings.database, assetKey: context.assetKey };
  const target = `${quote(database)}.${quote(tableIn(settings.table ?? tableOf(assetKey), settings.environment))}`;
  const clickhouse = await clickHouseAt(settings.url, context.signal);
  try {
    const { partitionKey = null } = context;
    const schema = context.schema as readonly Column[] | null;
    yield* rowsIn(clickhouse, target, schema, partitionKey, settings);
  } finally {
    await clickhouse.close();
  }
}
