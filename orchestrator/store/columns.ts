/**
 * Array literals for `unnest`: the columns of many rows as one parameter each. Written here rather than by the
 * driver, which looks at each element's type anew. A column of nothing but NULL is an empty array: `unnest` of several
 * fills the shorter ones with NULL.
 */

const NOTHING = '{}';

/** Numbers, UUIDs and other texts without special characters; null becomes NULL. */
export function plainArray(values: readonly (string | number | null)[]): string {
  let text = '{';
  let any = false;
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) text += ',';
    const value = values[index] ?? null;
    if (value === null) text += 'NULL';
    else {
      any = true;
      text += value;
    }
  }
  return any ? `${text}}` : NOTHING;
}

/** As `plainArray`, of a column of many rows. */
export function plainColumn<Row>(
  rows: readonly Row[],
  of: (row: Row) => string | number | null,
): string {
  let text = '{';
  let any = false;
  for (let index = 0; index < rows.length; index += 1) {
    const value = of(rows[index] as Row);
    if (value !== null) any = true;
    text += index === 0 ? (value ?? 'NULL') : `,${value ?? 'NULL'}`;
  }
  return any ? `${text}}` : NOTHING;
}

/** As `textArray`, of a column of many rows. */
export function textColumn<Row>(rows: readonly Row[], of: (row: Row) => string | null): string {
  let text = '{';
  let any = false;
  for (let index = 0; index < rows.length; index += 1) {
    const value = of(rows[index] as Row);
    if (value !== null) any = true;
    text += index === 0 ? quoted(value) : `,${quoted(value)}`;
  }
  return any ? `${text}}`.replace(NUL, '') : NOTHING;
}

function quoted(value: string | null): string {
  if (value === null) return 'NULL';
  return SPECIAL.test(value) ? `"${value.replace(ALL_SPECIAL, '\\$&')}"` : `"${value}"`;
}

/** `bytea` values, null for NULL. */
export function bytesColumn<Row>(
  rows: readonly Row[],
  of: (row: Row) => Uint8Array | null,
): string {
  let text = '{';
  let any = false;
  for (let index = 0; index < rows.length; index += 1) {
    const value = of(rows[index] as Row);
    if (value !== null) any = true;
    const one = value === null ? 'NULL' : `"\\\\x${hexOf(value)}"`;
    text += index === 0 ? one : `,${one}`;
  }
  return any ? `${text}}` : NOTHING;
}

function hexOf({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
}

/** A column in which all rows have the same value: nothing, and the statement's `coalesce` puts the value in. */
export function unlessAll<Row, T>(
  rows: readonly Row[],
  of: (row: Row) => T,
  usual: T,
  encode: (rows: readonly Row[], of: (row: Row) => T) => string,
): string {
  return rows.every((row) => of(row) === usual) ? NOTHING : encode(rows, of);
}

const SPECIAL = /["\\]/;
const ALL_SPECIAL = /["\\]/g;
/** PostgreSQL's text and jsonb hold no NUL. */
const NUL = /\0/g;

/** Any texts; null becomes NULL. */
export function textArray(values: readonly (string | null)[]): string {
  let text = '{';
  let any = false;
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) text += ',';
    const value = values[index];
    if (value === null || value === undefined) {
      text += 'NULL';
      continue;
    }
    any = true;
    text += SPECIAL.test(value) ? `"${value.replace(ALL_SPECIAL, '\\$&')}"` : `"${value}"`;
  }
  return any ? `${text}}`.replace(NUL, '') : NOTHING;
}

/** NUL, and halves of surrogate pairs, which are escaped only where they stand alone. */
const REFUSED = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g;

/** JSON of a value for a jsonb column, without the escapes that jsonb refuses; null for `undefined` and `null`. */
export function jsonText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const text = JSON.stringify(value);
  if (text === undefined) return null;
  return text.includes('\\u') ? text.replace(REFUSED, '$1\\ufffd') : text;
}

/** A vector of bytes as PostgreSQL reads it. */
export function byteaText(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}
