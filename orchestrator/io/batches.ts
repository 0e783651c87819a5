/** Rows on their way into a table: cut into batches of bounded size, column by column, each value checked. */
import type { Row } from '../define/io.ts';
import { type Column, ColumnError, inferColumns, isRow, rowsOf, toCell } from './columns.ts';

/** Rows that the types follow from. */
export const LOOKED_AT = 1_000;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
/** Of a cell that is no text. */
const CELL_BYTES = 8;

/** What is told where nothing says which columns a table has. */
export const NO_COLUMNS = 'there are no rows to tell the columns from: name them with "columns"';

/** Some rows, as one list of cells for each column. */
export interface Batch {
  readonly size: number;
  readonly cells: readonly (readonly unknown[])[];
}

export interface Tabular {
  readonly columns: readonly Column[];
  /** To be read once. */
  readonly batches: AsyncGenerator<Batch, void>;
  /** What has gone by so far. */
  readonly counted: { rows: number; sizeBytes: number };
}

/**
 * A value as a table.
 * @param known columns that the user names; else they follow from the first rows
 * @throws ColumnError where it is no list of rows, or they do not fit
 */
export async function toTable(
  value: unknown,
  known: readonly Column[] | null,
  batchRows: number,
  signal: AbortSignal,
): Promise<Tabular> {
  const source = iterate(rowsOf(value));
  const first: unknown[] = [];
  while (known === null && first.length < LOOKED_AT) {
    const next = await source.next();
    if (next.done === true) break;
    first.push(next.value);
  }
  const columns = known ?? (first.length === 0 ? [] : inferColumns(first.map(asRow)));
  const counted = { rows: 0, sizeBytes: 0 };
  return { columns, counted, batches: cut(first, source, { columns, counted, batchRows, signal }) };
}

async function* iterate(rows: AsyncIterable<Row> | Iterable<Row>): AsyncGenerator<unknown, void> {
  yield* rows;
}

async function* cut(
  first: readonly unknown[],
  rest: AsyncGenerator<unknown, void>,
  { columns, counted, batchRows, signal }: Omit<Tabular, 'batches'> & Cutting,
): AsyncGenerator<Batch, void> {
  const names = new Set(columns.map(({ name }) => name));
  let cells = columns.map((): unknown[] => []);
  let size = 0;
  let sizeBytes = 0;
  const take = (value: unknown) => {
    const row = asRow(value, counted.rows);
    counted.rows += 1;
    for (const name in row) {
      if (!names.has(name)) throw unknownColumn(name, counted.rows);
    }
    let bytes = 0;
    for (const [place, column] of columns.entries()) {
      const cell = toCell(column, row[column.name], counted.rows);
      cells[place]?.push(cell);
      bytes += typeof cell === 'string' ? cell.length : CELL_BYTES;
    }
    size += 1;
    sizeBytes += bytes;
    counted.sizeBytes += bytes;
    return size >= batchRows || sizeBytes >= MAX_BATCH_BYTES;
  };
  const full = (): Batch => {
    signal.throwIfAborted();
    const batch = { size, cells };
    cells = columns.map(() => []);
    size = 0;
    sizeBytes = 0;
    return batch;
  };
  try {
    for (const row of first) if (take(row)) yield full();
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      if (take(next.value)) yield full();
    }
    if (size > 0) yield full();
  } finally {
    // Whoever makes the rows may have something to close.
    await rest.return();
  }
}

interface Cutting {
  readonly batchRows: number;
  readonly signal: AbortSignal;
}

function asRow(value: unknown, before: number): Row {
  if (isRow(value)) return value;
  throw new ColumnError(
    `row ${before + 1} is no object: a table keeps objects with columns as keys`,
  );
}

function unknownColumn(name: string, row: number): ColumnError {
  return new ColumnError(
    `row ${row} has ${JSON.stringify(name)}, which the first ${LOOKED_AT} rows have not; name all with "columns"`,
  );
}

/** A stored integer: a number where that is exact. */
export function integerOf(value: bigint | string): number | bigint {
  const exact = Number(value);
  return Number.isSafeInteger(exact) ? exact : BigInt(value);
}

/** All rows of a stream, for readers that want them in memory. */
export async function collect(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
}
