/**
 * Evidence rows as lines over time, where they are that: a column that holds moments, and columns that hold
 * numbers. Rows of several things (a text column with few values) become one line for each.
 */
import type { Evidence } from '../../../../domain/finding.ts';

type Row = Readonly<Record<string, unknown>>;

export interface Line {
  readonly name: string;
  /** One value for each moment; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface Series {
  /** Unix seconds, increasing. */
  readonly seconds: readonly number[];
  readonly lines: readonly Line[];
  readonly thresholds: readonly { readonly name: string; readonly value: number }[];
}

const TIME_NAMES =
  /^(at|t|ts|time|timestamp|bucket|minute|second|moment)$|(_at|At|_time|Time|bucket)$/;
const LIMIT_NAMES = /^(max|min|limit|threshold)$/;
const MOST_LINES = 5;

/** Null where the rows are not a course over time. */
export function seriesOf(evidence: Pick<Evidence, 'rows' | 'threshold'>): Series | null {
  const [first] = evidence.rows;
  if (!first || evidence.rows.length < 3) return null;
  const timeName = Object.keys(first).find(
    (name) => TIME_NAMES.test(name) && evidence.rows.every((row) => toSeconds(row[name]) !== null),
  );
  if (timeName === undefined) return null;
  const secondsOf = (row: Row) => toSeconds(row[timeName]) ?? 0;
  const seconds = [...new Set(evidence.rows.map(secondsOf))].sort((a, b) => a - b);
  if (seconds.length < 3) return null;
  const numbers = Object.keys(first).filter(
    (name) =>
      name !== timeName &&
      !TIME_NAMES.test(name) &&
      evidence.rows.every((row) => isNumeric(row[name])),
  );
  const group = Object.keys(first).find(
    (name) =>
      name !== timeName &&
      !numbers.includes(name) &&
      evidence.rows.every((row) => typeof row[name] === 'string'),
  );
  const groups = Map.groupBy(evidence.rows, (row) =>
    group === undefined ? '' : String(row[group]),
  );
  const lines = [...groups].flatMap(([groupName, rows]) =>
    numbers.map((name) => toLine(groups.size > 1 ? `${groupName} ${name}` : name, rows, name)),
  );
  if (lines.length === 0) return null;
  const moving = lines.filter(({ values }) => new Set(values).size > 1);
  return {
    seconds,
    lines: (moving.length > 0 ? moving : lines).slice(0, MOST_LINES),
    thresholds: thresholdsOf(evidence, numbers),
  };

  function toLine(name: string, rows: readonly Row[], column: string): Line {
    const at = new Map(rows.map((row) => [secondsOf(row), Number(row[column])]));
    return { name, values: seconds.map((second) => at.get(second) ?? null) };
  }
}

/**
 * Limits that can stand beside the values: a ceiling that each row carries, the share of it that counts as
 * full, and settings that are named as a column is.
 */
function thresholdsOf(
  { rows, threshold }: Pick<Evidence, 'rows' | 'threshold'>,
  columns: readonly string[],
): Series['thresholds'] {
  const named = Object.entries(threshold)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .filter(([name]) => columns.includes(name) || LIMIT_NAMES.test(name))
    .map(([name, value]) => ({ name, value }));
  const ceilings = new Set(rows.map((row) => Number(row['max'])));
  const [max] = ceilings;
  if (!columns.includes('max') || max === undefined || ceilings.size > 1) return named;
  const ratio = threshold['levelRatio'];
  return [
    { name: 'max', value: max },
    ...(typeof ratio === 'number' ? [{ name: `level ${ratio}`, value: max * ratio }] : []),
    ...named.filter(({ name }) => name !== 'max'),
  ];
}

function isNumeric(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value === 'string' && value !== '' && /^-?\d+(\.\d+)?$/.test(value);
}

/** A moment as ClickHouse or JSON writes it: RFC 3339, `YYYY-MM-DD hh:mm:ss` in UTC, or Unix milliseconds. */
function toSeconds(value: unknown): number | null {
  const number =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && /^\d{13}$/.test(value)
        ? Number(value)
        : null;
  if (number !== null) return number > 1e11 && number < 1e13 ? number / 1_000 : null;
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d[T ]/.test(value)) return null;
  const iso = value.includes('T') ? value : `${value.replace(' ', 'T')}Z`;
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? null : ms / 1_000;
}
