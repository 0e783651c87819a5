/**
 * Columns of tables. Their types follow from the first rows unless they are named; what does not fit afterwards is a
 * fault with the row and the column in it, rather than a value that is silently another one.
 */
import type { StoredColumn } from '../../domain/asset.ts';
import { isStream, type Row } from '../define/io.ts';
import { DefinitionError, type Read } from '../define/options.ts';

const COLUMN_TYPES = ['boolean', 'integer', 'number', 'text', 'timestamp', 'json'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

/** Columns by name, in the order in which the table has them. */
export type Columns = Readonly<Record<string, ColumnType>>;

export interface Column extends StoredColumn {
  readonly type: ColumnType;
}

/** A value that does not fit its column. */
export class ColumnError extends Error {
  override readonly name = 'ColumnError';
}

const MAX_COLUMNS = 1_500;
const MAX_NAME_BYTES = 63;
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** Reads the option `columns`. */
export const readColumns: Read<readonly Column[] | null> = (value) => {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new DefinitionError('must be an object of types by column, such as { id: "integer" }');
  }
  const columns = Object.entries(value).map(([name, type]): Column => {
    const known = COLUMN_TYPES.find((one) => one === type);
    if (known !== undefined) return { name, type: known };
    throw new DefinitionError(`${name}: the types are ${COLUMN_TYPES.join(', ')}`);
  });
  const fault = faultOf(columns);
  if (fault !== null) throw new DefinitionError(fault);
  return columns;
};

function faultOf(columns: readonly Column[]): string | null {
  if (columns.length === 0) return 'there is no column';
  if (columns.length > MAX_COLUMNS) return `there are more than ${MAX_COLUMNS} columns`;
  const bad = columns.find(
    ({ name }) => name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES || UNPRINTABLE.test(name),
  );
  if (bad === undefined) return null;
  return `a column's name has 1 to ${MAX_NAME_BYTES} printable bytes, and ${JSON.stringify(bad.name)} has not`;
}

/**
 * Columns by what these rows hold: all keys, in the order in which they appear.
 * @throws ColumnError where a name cannot be one
 */
export function inferColumns(rows: readonly Row[]): readonly Column[] {
  const types = new Map<string, ColumnType | null>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      types.set(name, widen(types.get(name) ?? null, typeOf(value)));
    }
  }
  const columns = [...types].map(([name, type]): Column => ({ name, type: type ?? 'text' }));
  const fault = faultOf(columns);
  if (fault !== null) throw new ColumnError(fault);
  return columns;
}

/** What a version recorded of its columns, for a value in memory; null where it is no list of rows. */
export function schemaOf(value: unknown, looked: number): readonly StoredColumn[] | null {
  if (!Array.isArray(value)) return null;
  const first = value.slice(0, looked);
  if (first.length === 0 || !first.every(isRow)) return null;
  try {
    return inferColumns(first);
  } catch {
    return null;
  }
}

export function isRow(value: unknown): value is Row {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

function typeOf(value: unknown): ColumnType | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'number';
  if (typeof value === 'string') return 'text';
  return value instanceof Date ? 'timestamp' : 'json';
}

function widen(before: ColumnType | null, seen: ColumnType | null): ColumnType | null {
  if (before === null || seen === null || before === seen) return before ?? seen;
  const both = new Set([before, seen]);
  return both.has('integer') && both.has('number') ? 'number' : 'json';
}

const LEAST_INTEGER = -(2n ** 63n);
const MOST_INTEGER = 2n ** 63n - 1n;

/**
 * The value as its column has it: null, boolean, number or bigint, text (JSON for `json`), Date.
 * @throws ColumnError that names the row, counted from 1, and the column
 */
export function toCell(column: Column, value: unknown, row: number): unknown {
  if (value === null || value === undefined) return null;
  const cell = cellOf(column.type, value);
  if (cell !== undefined) return cell;
  const shown =
    typeof value === 'object' ? 'an object' : JSON.stringify(String(value).slice(0, 80));
  throw new ColumnError(
    `row ${row}: ${JSON.stringify(column.name)} is ${shown}, and the column is of type ${column.type}; name the types with "columns"`,
  );
}

function cellOf(type: ColumnType, value: unknown): unknown {
  if (type === 'json') return jsonCell(value);
  if (type === 'boolean') return typeof value === 'boolean' ? value : undefined;
  if (type === 'text') return typeof value === 'string' ? value : undefined;
  if (type === 'timestamp') return timeCell(value);
  if (type === 'number') {
    return typeof value === 'number'
      ? value
      : typeof value === 'bigint'
        ? Number(value)
        : undefined;
  }
  if (typeof value === 'bigint') {
    return value >= LEAST_INTEGER && value <= MOST_INTEGER ? value : undefined;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

function jsonCell(value: unknown): string | undefined {
  return typeof value === 'bigint' ? value.toString() : JSON.stringify(value);
}

function timeCell(value: unknown): Date | undefined {
  const date = typeof value === 'string' ? new Date(value) : value;
  return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined;
}

/** The rows of a value that is kept in a table. */
export function rowsOf(value: unknown): AsyncIterable<Row> | Iterable<Row> {
  if (isStream(value) || Array.isArray(value)) return value as Iterable<Row>;
  throw new ColumnError(
    'a table keeps rows: return an array of objects, or an async iterable of them',
  );
}
