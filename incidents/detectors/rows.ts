/** Reading what queries return. ClickHouse sends 64-bit numbers as numbers or as text; both are read. */
import type { Evidence, QueryRows } from '../../domain/finding.ts';
import { type DetectorQuery, MAX_EVIDENCE_ROWS } from '../../domain/finding.ts';

export type Row = QueryRows[number];

/** A number of a row; 0 where there is none. */
export function num(row: Row, column: string): number {
  const value = Number(row[column] ?? 0);
  return Number.isFinite(value) ? value : 0;
}

/** A text of a row; empty where there is none. */
export function text(row: Row, column: string): string {
  const value = row[column];
  return value === null || value === undefined ? '' : String(value);
}

/** A moment in Unix milliseconds; null where the column is empty or at the epoch, which is ClickHouse's 'never'. */
export function moment(row: Row, column: string): number | null {
  const value = num(row, column);
  return value > 0 ? value : null;
}

/** A column of tuples, as arrays of numbers. */
export function tuples(row: Row, column: string): readonly (readonly number[])[] {
  const value = row[column];
  if (!Array.isArray(value)) return [];
  return value.map((item: unknown) =>
    (Array.isArray(item) ? item : Object.values(item ?? {})).map(Number),
  );
}

/** A setting that is a number. */
export function setting(settings: Readonly<Record<string, unknown>>, name: string): number {
  const value = Number(settings[name]);
  if (!Number.isFinite(value)) throw new RangeError(`the setting ${name} is not a number`);
  return value;
}

/** Evidence of one query, cut to what is kept. */
export function evidenceOf(
  detector: { id: string; version: string },
  query: DetectorQuery,
  rows: QueryRows,
  threshold: Readonly<Record<string, unknown>>,
): Evidence {
  return {
    detector: detector.id,
    version: detector.version,
    query: query.sql,
    parameters: query.parameters,
    rows: rows.slice(0, MAX_EVIDENCE_ROWS),
    threshold,
  };
}
