/** Tables in ClickHouse, and rows into and out of them. */
import type { Row } from '../define/io.ts';
import { type Batch, integerOf } from './batches.ts';
import { type ClickHouse, quote } from './clickhouse-http.ts';
import type { Settings } from './clickhouse-table.ts';
import { type Column, ColumnError, type ColumnType } from './columns.ts';

const TYPES = {
  boolean: 'Bool',
  integer: 'Int64',
  number: 'Float64',
  text: 'String',
  timestamp: "DateTime64(3, 'UTC')",
  json: 'String',
} as const satisfies Record<ColumnType, string>;

/** Type of each column of a table; null where there is no such table. */
export async function columnsOf(
  clickhouse: ClickHouse,
  table: string,
): Promise<ReadonlyMap<string, string> | null> {
  const [exists] = await clickhouse.rows<[number]>(`EXISTS TABLE ${table}`);
  if (Number(exists?.[0]) !== 1) return null;
  const found = await clickhouse.rows<[string, string]>(`DESCRIBE TABLE ${table}`);
  return new Map(found.map(([name, type]) => [name, type]));
}

export async function createTable(
  clickhouse: ClickHouse,
  table: string,
  columns: readonly Column[],
  partitioned: boolean,
  { orderBy, partitionColumn }: Settings,
): Promise<void> {
  const missing = orderBy.find((name) => !columns.some((column) => column.name === name));
  if (missing !== undefined) {
    throw new ColumnError(
      `orderBy names ${JSON.stringify(missing)}, which is no column of the rows`,
    );
  }
  if (partitioned && columns.some(({ name }) => name === partitionColumn)) {
    throw new ColumnError(
      `${partitionColumn} is the column of the partition: give it another name with "partitionColumn"`,
    );
  }
  const lines = columns.map(({ name, type }) => {
    const plain = TYPES[type];
    return `${quote(name)} ${orderBy.includes(name) ? plain : `Nullable(${plain})`}`;
  });
  if (partitioned) lines.unshift(`${quote(partitionColumn)} String`);
  await clickhouse.run(
    `CREATE TABLE ${table} (${lines.join(', ')}) ENGINE = MergeTree
     ${partitioned ? `PARTITION BY ${quote(partitionColumn)}` : ''}
     ORDER BY (${orderBy.map(quote).join(', ')})`,
  );
}

/**
 * Adds the columns that a table has not.
 * @param known those that it has, where they were just read
 * @throws ColumnError where one that it has takes other values
 */
export async function growTable(
  clickhouse: ClickHouse,
  table: string,
  columns: readonly Column[],
  known?: ReadonlyMap<string, string>,
): Promise<void> {
  const there = known ?? (await columnsOf(clickhouse, table));
  if (there === null) return;
  const odd = columns.find(({ name, type }) => !takes(there.get(name), type));
  if (odd !== undefined) {
    throw new ColumnError(
      `the column ${JSON.stringify(odd.name)} of ${table} is ${there.get(odd.name)}, and the value's is ${odd.type}: other partitions are in the table, so change its type by hand`,
    );
  }
  const added = columns
    .filter(({ name }) => !there.has(name))
    .map(({ name, type }) => `ADD COLUMN IF NOT EXISTS ${quote(name)} Nullable(${TYPES[type]})`);
  if (added.length > 0) await clickhouse.run(`ALTER TABLE ${table} ${added.join(', ')}`);
}

/** Whether a column of the table takes values of a type; of a type that is not known here ClickHouse judges. */
function takes(stored: string | undefined, type: ColumnType): boolean {
  if (stored === undefined) return true;
  const plain = plainType(stored);
  if (plain === 'Bool') return type === 'boolean';
  if (/^U?Int/.test(plain)) return type === 'integer';
  if (/^(Float|Decimal)/.test(plain)) return type === 'integer' || type === 'number';
  if (plain.startsWith('DateTime')) return type === 'timestamp' || type === 'text';
  return plain === 'String' ? type === 'text' || type === 'json' : true;
}

function plainType(stored: string): string {
  let plain = stored;
  for (let inner = /^(?:Nullable|LowCardinality)\((.*)\)$/.exec(plain); inner; ) {
    plain = inner[1] ?? plain;
    inner = /^(?:Nullable|LowCardinality)\((.*)\)$/.exec(plain);
  }
  return plain;
}

export async function insertBatch(
  clickhouse: ClickHouse,
  table: string,
  columns: readonly Column[],
  partitionKey: string | undefined,
  { partitionColumn }: Settings,
  { size, cells }: Batch,
): Promise<void> {
  const names = columns.map(({ name }) => quote(name));
  if (partitionKey !== undefined) names.push(quote(partitionColumn));
  const tail = partitionKey === undefined ? '' : `,${JSON.stringify(partitionKey)}`;
  let lines = '';
  for (let row = 0; row < size; row += 1) {
    let line = '';
    for (const list of cells) line += `${line === '' ? '' : ','}${cellText(list[row])}`;
    lines += `[${line}${tail}]\n`;
  }
  await clickhouse.insert(`INSERT INTO ${table} (${names.join(', ')})`, lines);
}

const DENORMAL: Readonly<Record<string, string>> = {
  NaN: '"nan"',
  Infinity: '"inf"',
  '-Infinity': '"-inf"',
};

/** Texts go in as JSON has them; 64-bit integers and times as text, which loses nothing. */
function cellText(cell: unknown): string {
  if (cell === null) return 'null';
  if (typeof cell === 'bigint') return `"${cell}"`;
  if (cell instanceof Date) return `"${cell.toISOString()}"`;
  if (typeof cell === 'number' && !Number.isFinite(cell)) return DENORMAL[String(cell)] ?? 'null';
  return JSON.stringify(cell);
}

/**
 * The rows of a table, or of a partition of it.
 * @param columns all but the partition's, by the types that the table has, where there are none
 */
export async function* rowsIn(
  clickhouse: ClickHouse,
  table: string,
  columns: readonly Column[] | null,
  partitionKey: string | null,
  { partitionColumn }: Settings,
): AsyncGenerator<Row, void> {
  // A version of no rows knows of no columns.
  const known = columns?.length
    ? columns
    : await columnsIn(clickhouse, table, partitionColumn, partitionKey);
  const list = known.map(({ name }) => quote(name)).join(', ');
  const where =
    partitionKey === null
      ? ''
      : ` WHERE ${quote(partitionColumn)} = ${clickhouse.text(partitionKey)}`;
  for await (const line of clickhouse.stream(`SELECT ${list} FROM ${table}${where}`)) {
    yield Object.fromEntries(
      known.map(({ name, type }, place) => [name, readCell(type, line[place])]),
    );
  }
}

async function columnsIn(
  clickhouse: ClickHouse,
  table: string,
  partitionColumn: string,
  partitionKey: string | null,
): Promise<readonly Column[]> {
  const there = await columnsOf(clickhouse, table);
  if (there === null) throw new Error(`there is no table ${table}`);
  return [...there]
    .filter(([name]) => partitionKey === null || name !== partitionColumn)
    .map(([name, type]) => ({ name, type: typeOf(type) }));
}

function typeOf(stored: string): ColumnType {
  const plain = plainType(stored);
  if (/^U?Int/.test(plain)) return 'integer';
  if (/^(Float|Decimal)/.test(plain)) return 'number';
  if (plain.startsWith('DateTime')) return 'timestamp';
  return plain === 'Bool' ? 'boolean' : 'text';
}

function readCell(type: string, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'integer') return integerOf(String(value));
  if (type === 'number') return numberOf(value);
  if (type === 'timestamp') return new Date(String(value));
  if (type === 'json') return JSON.parse(String(value));
  return value;
}

function numberOf(value: unknown): number {
  if (value === 'inf') return Number.POSITIVE_INFINITY;
  return value === '-inf' ? Number.NEGATIVE_INFINITY : Number(value);
}
