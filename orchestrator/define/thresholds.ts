/**
 * Ready-made checks: `checks: [rowCount({ min: 1 }), duplicateRate({ columns: ['id'], max: 0.01 })]`. They look at each
 * row once while it is written, so that they hold for a million rows as for ten. Each is an error that does not block
 * unless told otherwise.
 */
import { parseDuration } from '../../domain/time.ts';
import type { Check, CheckOutcome, CheckSettings, RowFold, Untyped } from './check.ts';
import { checkReaders } from './check.ts';
import { isStream, type Row } from './io.ts';
import {
  DefinitionError,
  inDefinition,
  type Read,
  name as readName,
  readOptions,
} from './options.ts';
import { keyOf, SeenKeys } from './row-counts.ts';

export interface ThresholdSettings extends CheckSettings {
  /** What the catalog calls it; each has a name of its own unless told. */
  readonly name?: string;
}

const settings = {
  ...checkReaders,
  name: ((value) => (value === undefined ? null : readName(value))) as Read<string | null>,
};

/** A check that is a fold: over rows in memory, a stream, or fed while they are written. */
function foldCheck(
  name: string,
  read: { name: string | null; blocking: boolean; severity: 'warn' | 'error'; timeout: number },
  fold: () => RowFold,
): Check<Untyped> {
  return {
    name: read.name ?? name,
    blocking: read.blocking,
    severity: read.severity,
    timeout: read.timeout,
    fold,
    async run(value, context): Promise<CheckOutcome> {
      const one = fold();
      if (isStream(value)) for await (const row of value) one.row(row);
      else if (Array.isArray(value)) for (const row of value as readonly Row[]) one.row(row);
      else throw new TypeError('the value is no list of rows');
      return one.end(context);
    },
  };
}

/** How many rows there must be. */
export function rowCount(
  options: ThresholdSettings & { readonly min?: number; readonly max?: number },
): Check<Untyped> {
  return inDefinition('rowCount', () => {
    const read = readOptions(options, { ...settings, min: count, max: count });
    if (read.min === null && read.max === null) throw new DefinitionError('give min or max');
    const { min, max } = read;
    if (min !== null && max !== null && min > max) {
      throw new DefinitionError('min must not be greater than max');
    }
    return foldCheck('row-count', read, () => {
      let rows = 0;
      return {
        row: () => {
          rows += 1;
        },
        end: () => ({
          passed: rows >= (min ?? 0) && rows <= (max ?? Number.POSITIVE_INFINITY),
          metadata: { rows, ...limits({ min, max }) },
        }),
      };
    });
  });
}

/** How far the number of rows may move from that of the version before (of the same partition, if it has one). */
export function rowCountChange(
  options: ThresholdSettings & { readonly maxDrop?: Share; readonly maxGrowth?: Share },
): Check<Untyped> {
  return inDefinition('rowCountChange', () => {
    const read = readOptions(options, { ...settings, maxDrop: share, maxGrowth: share });
    const { maxDrop, maxGrowth } = read;
    if (maxDrop === null && maxGrowth === null) {
      throw new DefinitionError('give maxDrop or maxGrowth, such as "20%"');
    }
    return foldCheck('row-count-change', read, () => {
      let rows = 0;
      return {
        row: () => {
          rows += 1;
        },
        async end(context) {
          const versions = await context.history();
          const same = versions.find(
            ({ partition }) => partition === (context.partitionKey ?? null),
          );
          const before = same ?? versions[0];
          const was = before?.metadata['rows'];
          if (typeof was !== 'number') return { passed: true, metadata: { rows, before: null } };
          const change = was === 0 ? (rows === 0 ? 0 : 1) : (rows - was) / was;
          const passed =
            change >= -(maxDrop ?? Number.POSITIVE_INFINITY) &&
            change <= (maxGrowth ?? Number.POSITIVE_INFINITY);
          return {
            passed,
            metadata: { rows, before: was, change, ...limits({ maxDrop, maxGrowth }) },
          };
        },
      };
    });
  });
}

/** The share of rows whose values in these columns were there before. */
export function duplicateRate(
  options: ThresholdSettings & { readonly columns: readonly string[]; readonly max: Share },
): Check<Untyped> {
  return inDefinition('duplicateRate', () => {
    const read = readOptions(options, { ...settings, columns: columnNames, max: needed(share) });
    return duplicates(`duplicate-rate:${read.columns.join(',')}`, read, read.columns, read.max);
  });
}

/** No two rows may have the same values in these columns. */
export function uniqueness(
  options: ThresholdSettings & { readonly columns: readonly string[] },
): Check<Untyped> {
  return inDefinition('uniqueness', () => {
    const read = readOptions(options, { ...settings, columns: columnNames });
    return duplicates(`unique:${read.columns.join(',')}`, read, read.columns, 0);
  });
}

function duplicates(
  name: string,
  read: Parameters<typeof foldCheck>[1],
  columns: readonly string[],
  max: number,
): Check<Untyped> {
  return foldCheck(name, read, () => {
    const seen = new SeenKeys();
    let rows = 0;
    let repeated = 0;
    return {
      row(row) {
        rows += 1;
        if (!seen.add(keyOf(row, columns))) repeated += 1;
      },
      end: () => ({
        passed: rate(repeated, rows) <= max,
        metadata: { duplicates: repeated, rate: rate(repeated, rows), max, columns },
      }),
    };
  });
}

/** The share of rows that have nothing in this column. */
export function nullRate(
  options: ThresholdSettings & { readonly column: string; readonly max: Share },
): Check<Untyped> {
  return inDefinition('nullRate', () => {
    const read = readOptions(options, { ...settings, column: columnName, max: needed(share) });
    const { column, max } = read;
    return foldCheck(`null-rate:${column}`, read, () => {
      let rows = 0;
      let nulls = 0;
      return {
        row(row) {
          rows += 1;
          if (row[column] === null || row[column] === undefined) nulls += 1;
        },
        end: () => ({
          passed: rate(nulls, rows) <= max,
          metadata: { nulls, rate: rate(nulls, rows), max, column },
        }),
      };
    });
  });
}

/** The newest moment in this column must not be older than `maxAge`. Without a moment it fails. */
export function freshColumn(
  options: ThresholdSettings & { readonly column: string; readonly maxAge: string | number },
): Check<Untyped> {
  return inDefinition('freshColumn', () => {
    const read = readOptions(options, {
      ...settings,
      column: columnName,
      maxAge: (value: unknown) => parseDuration(value as string),
    });
    const { column, maxAge } = read;
    return foldCheck(`fresh:${column}`, read, () => {
      let newest = Number.NEGATIVE_INFINITY;
      return {
        row(row) {
          const at = momentOf(row[column]);
          if (at > newest) newest = at;
        },
        end({ now }) {
          const known = Number.isFinite(newest);
          return {
            passed: known && now - newest <= maxAge,
            metadata: {
              newest: known ? new Date(newest).toISOString() : null,
              ageMs: known ? now - newest : null,
              ...{ maxAgeMs: maxAge, column },
            },
          };
        },
      };
    });
  });
}

const count: Read<number | null> = (value) => {
  if (value === undefined || value === null) return null;
  if (Number.isInteger(value) && Number(value) >= 0) return Number(value);
  throw new DefinitionError('must be a whole number of rows');
};

/** A part of a whole: `0.2` or `"20%"`. */
export type Share = number | `${number}%`;

/** @throws DefinitionError where it is none; more than the whole may be meant, of growth */
const share: Read<number | null> = (value) => {
  if (value === undefined || value === null) return null;
  const percent = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(value) : null;
  const part = percent ? Number(percent[1]) / 100 : value;
  if (typeof part === 'number' && Number.isFinite(part) && part >= 0) return part;
  throw new DefinitionError('must be a share such as 0.2 or "20%"');
};

function needed<T>(read: Read<T | null>): Read<T> {
  return (value) => {
    const given = read(value);
    if (given !== null) return given;
    throw new DefinitionError('is needed');
  };
}

const columnName: Read<string> = (value) => {
  if (typeof value === 'string' && value !== '') return value;
  throw new DefinitionError('must be the name of a column');
};

const columnNames: Read<readonly string[]> = (value) => {
  if (Array.isArray(value) && value.length > 0) return value.map((one) => columnName(one));
  throw new DefinitionError('must be a list of columns');
};

function limits(given: Readonly<Record<string, number | null>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

function rate(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function momentOf(value: unknown): number {
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? Date.parse(value) : Number.NaN;
}
