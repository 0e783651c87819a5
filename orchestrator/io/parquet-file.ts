/** Rows as Parquet files. The library is loaded when the first one is written or read. */
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { IoManager, ReadContext, Row, WriteContext } from '../define/io.ts';
import { isStream } from '../define/io.ts';
import { inDefinition, readOptions } from '../define/options.ts';
import { collect, integerOf, NO_COLUMNS, toTable } from './batches.ts';
import { type Column, ColumnError, type Columns, type ColumnType, readColumns } from './columns.ts';
import { directoryIn } from './environment.ts';
import { directory, type FileOptions, fileReaders, locationPath } from './file-options.ts';
import { type StagedAsFile, stagerOfFiles } from './staged-files.ts';
import { type StagedFile, stageFile } from './versioned-files.ts';

export interface ParquetOptions extends FileOptions {
  /** Types by column; without it they follow from the first 1,000 rows. */
  readonly columns?: Columns;
}

const GROUP_ROWS = 20_000;

const PARQUET = {
  boolean: 'BOOLEAN',
  integer: 'INT64',
  number: 'DOUBLE',
  text: 'STRING',
  timestamp: 'TIMESTAMP',
  json: 'JSON',
} as const satisfies Record<ColumnType, string>;

interface Settings {
  readonly directory: string;
  readonly keep: number;
  readonly columns: readonly Column[] | null;
}

/** Keeps each version as a Parquet file below `directory`; rows may come as an array or as an async iterable. */
export function parquetFile(options: ParquetOptions): IoManager {
  return inDefinition('parquetFile', () => {
    const read = readOptions(options, { ...fileReaders, directory, columns: readColumns });
    return {
      kind: 'parquet-file',
      ...stagerOfFiles(read.directory, (context, value) => stage(read, context, value)),
      async read(context: ReadContext) {
        const path = await locationPath(read.directory, context);
        return context.stream ? rowsIn(path) : collect(rowsIn(path));
      },
      inEnvironment: (name) =>
        parquetFile({ ...options, directory: directoryIn(read.directory, name) }),
    };
  });
}

async function stage(
  settings: Settings,
  context: WriteContext,
  value: unknown,
): Promise<StagedAsFile> {
  const { assetKey, partitionKey, versionId, signal } = context;
  const version = {
    ...{ directory: settings.directory, keep: settings.keep, assetKey, partitionKey, versionId },
    extension: 'parquet',
  };
  const file = await stageFile(version, randomUUID());
  try {
    const table = await toTable(value, settings.columns, GROUP_ROWS, signal);
    await writeTable(file, table);
    const { rows } = table.counted;
    const sizeBytes = (await stat(file.draft)).size;
    return {
      written: { location: { path: file.path }, rows, sizeBytes, schema: table.columns },
      read: () => (isStream(value) ? rowsIn(file.draft) : collect(rowsIn(file.draft))),
      file,
    };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function writeTable(
  file: StagedFile,
  { columns, batches }: Awaited<ReturnType<typeof toTable>>,
): Promise<void> {
  if (columns.length === 0) {
    throw new ColumnError(NO_COLUMNS);
  }
  const { fileWriter, ParquetWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const specs = columns.map(({ name, type }) => ({ name, type: PARQUET[type], nullable: true }));
  const empty = specs.map((spec) => ({ ...spec, data: [] }));
  const writer = new ParquetWriter({
    writer: fileWriter(file.draft),
    schema: schemaFromColumnData({ columnData: empty }),
  });
  for await (const { cells } of batches) {
    const columnData = specs.map((spec, place) => ({
      ...spec,
      data: encode(columns[place]?.type ?? 'text', cells[place] ?? []),
    }));
    await writer.write({ columnData, rowGroupSize: GROUP_ROWS });
  }
  await writer.finish();
}

/** As the library wants them: 64-bit integers as bigint, JSON as the value. */
function encode(type: ColumnType, cells: readonly unknown[]): unknown[] {
  if (type === 'integer')
    return cells.map((cell) => (cell === null ? null : BigInt(cell as number | bigint)));
  if (type === 'json')
    return cells.map((cell) => (cell === null ? null : JSON.parse(String(cell))));
  return [...cells];
}

/** The rows of a file, a group at a time. */
function rowsIn(path: string): AsyncIterable<Row> {
  return {
    async *[Symbol.asyncIterator]() {
      const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import(
        'hyparquet'
      );
      const file = await asyncBufferFromFile(path);
      const metadata = await parquetMetadataAsync(file);
      let rowStart = 0;
      for (const group of metadata.row_groups) {
        const rowEnd = rowStart + Number(group.num_rows);
        for (const row of await parquetReadObjects({ file, metadata, rowStart, rowEnd })) {
          yield exact(row);
        }
        rowStart = rowEnd;
      }
    },
  };
}

function exact(row: Record<string, unknown>): Row {
  for (const name in row) {
    const value = row[name];
    if (typeof value === 'bigint') row[name] = integerOf(value);
    else if (value === undefined) row[name] = null;
  }
  return row;
}
