/**
 * Values as rows of a table in the user's PostgreSQL. A version is written in one transaction, which stays open while
 * checks look at it and commits when it is published: readers have the version before until then, whoever dies in
 * between has written nothing. Where the table has the columns already its rows (those of the partition) are replaced,
 * so that grants, views and indexes stay; else a new table takes its place in the same transaction.
 */
import pg from 'pg';
import type {
  IoManager,
  RangeContext,
  ReadContext,
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
import { type Column, ColumnError, type Columns, readColumns } from './columns.ts';
import { tableIn } from './environment.ts';
import { identifier, tableOf } from './identifiers.ts';
import { borrow, type Lent, type PostgresConnection } from './postgres-client.ts';
import { cursorOver, insertBatch } from './postgres-rows.ts';
import {
  hasTable,
  type PreparedTable,
  prepareNext,
  prepareTarget,
  publishTarget,
  type TargetTable,
} from './postgres-target.ts';

export interface PostgresTableOptions {
  /** An address, or a pool: `postgresPool(…)` or a `pg.Pool`. */
  readonly connection: PostgresConnection;
  /** `public` unless told. */
  readonly schema?: string;
  /** Made of the asset's key unless told. */
  readonly table?: string;
  /** Types by column; without it they follow from the first 1,000 rows. */
  readonly columns?: Columns;
  /** Column that tells partitions apart, of an asset that has some; `partition_key` unless told. */
  readonly partitionColumn?: string;
}

interface Settings {
  readonly connection: PostgresConnection;
  readonly schema: string;
  readonly table: string | null;
  /** Null for production. */
  readonly environment: string | null;
  readonly columns: readonly Column[] | null;
  readonly partitionColumn: string;
}

const BATCH_ROWS = 5_000;

/** Keeps an asset in a table; rows may come as an array or as an async iterable. */
export function postgresTable(options: PostgresTableOptions): IoManager {
  return inDefinition('postgresTable', () => {
    const read = readOptions(options, {
      connection,
      schema: (value: unknown) => identifier(value ?? 'public'),
      table: optional(identifier),
      columns: readColumns,
      partitionColumn: (value: unknown) => identifier(value ?? 'partition_key'),
    });
    return managerOf({ ...read, environment: null });
  });
}

function managerOf(settings: Settings): IoManager {
  return {
    kind: 'postgres-table',
    stage: (context: WriteContext, value: unknown) => stage(settings, context, value),
    stageRange: (context: RangeContext) => stageRange(settings, context),
    async read(context: ReadContext) {
      const rows = readTable(settings, context);
      return context.stream ? rows : collect(rows);
    },
    inEnvironment: (environment) => managerOf({ ...settings, environment }),
  };
}

const connection: Read<PostgresConnection> = (value) => {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'object' && value !== null && 'connect' in value) return value as pg.Pool;
  throw new DefinitionError('must be an address such as postgres://…, or a pool');
};

function targetOf(settings: Settings, of: { assetKey: string; partitionKey: string | undefined }) {
  const { schema, partitionColumn } = settings;
  const table = tableIn(settings.table ?? tableOf(of.assetKey), settings.environment);
  const { partitionKey = null } = of;
  return { schema, table, partition: partitionKey, partitionColumn } satisfies TargetTable;
}

async function stage(
  settings: Settings,
  context: WriteContext,
  value: unknown,
): Promise<StagedVersion> {
  const write = openWrite(settings, context, false);
  const staged = await write.add(targetOf(settings, context), value);
  return { ...staged, publish: write.publish, discard: write.discard };
}

async function stageRange(
  settings: Settings,
  { partitionKeys: _, ...context }: RangeContext,
): Promise<StagedRange> {
  const write = openWrite(settings, context, true);
  return {
    stage: (partitionKey, value) =>
      write.add(targetOf(settings, { assetKey: context.assetKey, partitionKey }), value),
    publish: write.publish,
    discard: write.discard,
  };
}

/** One transaction, which takes one version or those of several partitions. */
function openWrite(
  settings: Settings,
  { signal }: Pick<WriteContext, 'signal'>,
  range: boolean,
): OpenWrite {
  let lent: Lent | undefined;
  let prepared: { readonly table: PreparedTable; readonly target: TargetTable } | undefined;
  const discard = async () => lent?.undo();
  const prepare = async ({ client }: Lent, target: TargetTable, columns: readonly Column[]) => {
    const table = prepared
      ? await prepareNext(client, prepared.table, target, columns)
      : await prepareTarget(client, target, columns);
    prepared = { table, target };
    return table;
  };
  return {
    discard,
    async add(target, value) {
      const table = await toTable(value, settings.columns, BATCH_ROWS, signal);
      try {
        refusePartitionColumn(table.columns, target);
        lent ??= await borrow(settings.connection, signal);
        const { client } = lent;
        // No rows say nothing of the columns; those of another partition of the range may.
        if (range && !prepared && table.columns.length === 0 && !(await hasTable(client, target))) {
          return { written: { rows: 0, sizeBytes: 0 }, read: () => [] };
        }
        const own = await prepare(lent, target, table.columns);
        for await (const batch of table.batches) await insertBatch(client, own, target, batch);
        const { rows, sizeBytes } = table.counted;
        const { schema, table: name } = target;
        const all = () => cursorOver(client, own.into, own.columns, target);
        return {
          written: { location: { schema, table: name }, rows, sizeBytes, schema: own.columns },
          read: () => (isStream(value) ? all() : collect(all())),
        };
      } catch (error) {
        await table.batches.return();
        await discard();
        throw error;
      }
    },
    publish: async () =>
      lent?.close(async () => {
        signal.throwIfAborted();
        if (!lent || !prepared) throw new ColumnError(NO_COLUMNS);
        await publishTarget(lent.client, prepared.table, prepared.target);
      }),
  };
}

interface OpenWrite extends Pick<StagedVersion, 'publish' | 'discard'> {
  add(target: TargetTable, value: unknown): Promise<Pick<StagedVersion, 'written' | 'read'>>;
}

function refusePartitionColumn(columns: readonly Column[], target: TargetTable): void {
  if (target.partition === null) return;
  if (!columns.some(({ name }) => name === target.partitionColumn)) return;
  throw new ColumnError(
    `${target.partitionColumn} is the column of the partition: give it another name with "partitionColumn"`,
  );
}

async function* readTable(
  settings: Settings,
  context: ReadContext,
): AsyncGenerator<Record<string, unknown>, void> {
  const target = targetOf(settings, context);
  const lent: Lent = await borrow(settings.connection, context.signal);
  try {
    await lent.client.query('BEGIN READ ONLY');
    const { schema, table } = target;
    const into = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
    for await (const row of cursorOver(lent.client, into, null, target, context.schema)) {
      context.signal.throwIfAborted();
      yield row;
    }
  } finally {
    await lent.undo();
  }
}
