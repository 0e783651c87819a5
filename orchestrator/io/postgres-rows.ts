/** Rows into a table, a batch in one statement, and out of it, some at a time. */
import pg from 'pg';
import type { StoredColumn } from '../../domain/asset.ts';
import { type Batch, integerOf } from './batches.ts';
import type { Column, ColumnType } from './columns.ts';
import { type PreparedTable, SQL_TYPES, type TargetTable } from './postgres-target.ts';

const FETCHED = 2_000;
const NUL = /\0/g;

/** Inserts a batch: a column is one parameter, whatever the number of rows. */
export async function insertBatch(
  client: pg.ClientBase,
  { into, columns, types: casts }: PreparedTable,
  target: TargetTable,
  batch: Batch,
): Promise<void> {
  if (columns.length === 0) return;
  const names = columns.map(({ name }) => pg.escapeIdentifier(name));
  const arrays = columns.map(({ type }, place) => `$${place + 1}::${SQL_TYPES[type]}[]`);
  const parameters: unknown[] = columns.map(({ type }, place) =>
    (batch.cells[place] ?? []).map((cell) => parameterOf(type, cell)),
  );
  const selected = casts.map((type, place) => `c${place}::${type}`);
  const insertInto = [...names];
  if (target.partition !== null) {
    insertInto.push(pg.escapeIdentifier(target.partitionColumn));
    selected.push(`$${columns.length + 1}::text`);
    parameters.push(target.partition);
  }
  await client.query(
    `INSERT INTO ${into} (${insertInto.join(', ')}) SELECT ${selected.join(', ')}
     FROM unnest(${arrays.join(', ')}) AS v (${names.map((_, place) => `c${place}`).join(', ')})`,
    parameters,
  );
}

/** PostgreSQL's text and jsonb hold no NUL. */
function parameterOf(type: ColumnType, cell: unknown): unknown {
  if (cell === null) return null;
  if (type === 'text') return String(cell).replace(NUL, '');
  if (type === 'json') return String(cell).replaceAll('\\u0000', '');
  if (type === 'timestamp' && cell instanceof Date) return cell.toISOString();
  return typeof cell === 'bigint' ? cell.toString() : cell;
}

const { INT8, DATE } = pg.types.builtins;

/** A 64-bit integer as a number where that is exact; a date as its text, which is of no timezone. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (oid === INT8) return (text: string) => integerOf(text);
    if (oid === DATE) return (text: string) => text;
    return pg.types.getTypeParser(oid, format as 'text');
  }) as pg.CustomTypesConfig['getTypeParser'],
};

/** Decimals and dates come as texts; they are what was written, as far as that is known. */
function asWritten(row: Record<string, unknown>, written: readonly StoredColumn[]): void {
  for (const { name, type } of written) {
    const value = row[name];
    if (typeof value !== 'string') continue;
    if (type === 'number' || type === 'integer') row[name] = Number(value);
    else if (type === 'timestamp') row[name] = new Date(`${value}T00:00:00Z`);
  }
}

let cursors = 0;

/**
 * The rows of a table, or of its partition, in a transaction that is under way.
 * @param columns all but the partition's where null
 * @param written columns as they were recorded
 */
export async function* cursorOver(
  client: pg.ClientBase,
  from: string,
  columns: readonly Column[] | null,
  target: TargetTable,
  written: readonly StoredColumn[] | null = columns,
): AsyncGenerator<Record<string, unknown>, void> {
  cursors += 1;
  const name = `signalbox_io_${cursors}`;
  const list =
    columns === null ? '*' : columns.map((one) => pg.escapeIdentifier(one.name)).join(', ');
  const partition = pg.escapeIdentifier(target.partitionColumn);
  const where = target.partition === null ? '' : ` WHERE ${partition} = $1`;
  await client.query(
    `DECLARE ${name} NO SCROLL CURSOR FOR SELECT ${list === '' ? '*' : list} FROM ${from}${where}`,
    target.partition === null ? [] : [target.partition],
  );
  let open = true;
  try {
    while (open) {
      const { rows } = await client.query<Record<string, unknown>>({
        text: `FETCH ${FETCHED} FROM ${name}`,
        types,
      });
      for (const row of rows) {
        if (target.partition !== null) delete row[target.partitionColumn];
        if (written !== null) asWritten(row, written);
        yield row;
      }
      open = rows.length === FETCHED;
    }
  } finally {
    // Where the transaction is broken the cursor is gone with it.
    await client.query(`CLOSE ${name}`).catch(() => undefined);
  }
}
