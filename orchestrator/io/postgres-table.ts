/**
 * Values as rows of a table in the user's PostgreSQL. A version is written in one transaction, which stays open while
 * checks look at it and commits when it is published: readers have the version before until then, whoever dies in
 * between has written nothing. Where the table has the columns already its rows (those of the partition) are replaced,
 * so that grants, views and indexes stay; else a new table takes its place in the same transaction.
 */
import pg from 'pg';
import type { IoManager, ReadContext, StagedVersion, WriteContext } from '../define/io.ts';
import { isStream } from '../define/io.ts';
import {
  DefinitionError,
  inDefinition,
  optional,
  type Read,
  readOptions,
} from '../define/options.ts';
import { collect, toTable } from './batches.ts';
import { type Column, ColumnError, type Columns, readColumns } from './columns.ts';
import { identifier, tableOf } from './identifiers.ts';
import { borrow, type Lent, type PostgresConnection } from './postgres-client.ts';
import { cursorOver, insertBatch } from './postgres-rows.ts';
import { prepareTarget, publishTarget, type TargetTable } from './postgres-target.ts';

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
  readonly columns: readonly Column[] | null;
  readonly partitionColumn: string;
}

const BATCH_ROWS = 5_000;

/** Keeps an asset in a table; rows may come as an array or as an async iterable. */
export function postgresTable(options: PostgresTableOptions): IoManager {
  return inDefinition('postgresTable', () => {
    const settings: Settings = readOptions(options, {
      connection,
      schema: (value: unknown) => identifier(value ?? 'public'),
      table: optional(identifier),
      columns: readColumns,
      partitionColumn: (value: unknown) => identifier(value ?? 'partition_key'),
    });
    return {
      kind: 'postgres-table',
      stage: (context: WriteContext, value: unknown) => stage(settings, context, value),
      async read(context: ReadContext) {
        const rows = readTable(settings, context);
        return context.stream ? rows : collect(rows);
      },
    };
  });
}

const connection: Read<PostgresConnection> = (value) => {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'object' && value !== null && 'connect' in value) return value as pg.Pool;
  throw new DefinitionError('must be an address such as postgres://…, or a pool');
};

function targetOf(settings: Settings, of: { assetKey: string; partitionKey: string | undefined }) {
  const { schema, partitionColumn } = settings;
  const table = settings.table ?? tableOf(of.assetKey);
  const { partitionKey = null } = of;
  return { schema, table, partition: partitionKey, partitionColumn } satisfies TargetTable;
}

async function stage(
  settings: Settings,
  context: WriteContext,
  value: unknown,
): Promise<StagedVersion> {
  const target = targetOf(settings, context);
  const table = await toTable(value, settings.columns, BATCH_ROWS, context.signal);
  const lent = await borrow(settings.connection, context.signal);
  try {
    if (
      table.columns.some(({ name }) => name === target.partitionColumn) &&
      target.partition !== null
    ) {
      throw new ColumnError(
        `${target.partitionColumn} is the column of the partition: give it another name with "partitionColumn"`,
      );
    }
    const prepared = await prepareTarget(lent.client, target, table.columns);
    for await (const batch of table.batches) {
      await insertBatch(lent.client, prepared, target, batch);
    }
    const { rows, sizeBytes } = table.counted;
    const { schema, table: name } = target;
    const all = () => cursorOver(lent.client, prepared.into, prepared.columns, target);
    return {
      written: { location: { schema, table: name }, rows, sizeBytes, schema: prepared.columns },
      read: () => (isStream(value) ? all() : collect(all())),
      publish: () =>
        lent.close(async () => {
          context.signal.throwIfAborted();
          await publishTarget(lent.client, prepared, target);
        }),
      discard: () => lent.undo(),
    };
  } catch (error) {
    await table.batches.return();
    await lent.undo();
    throw error;
  }
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
    for await (const row of cursorOver(lent.client, into, null, target)) {
      context.signal.throwIfAborted();
      yield row;
    }
  } finally {
    await lent.undo();
  }
}
