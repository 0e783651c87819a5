/** Pages of lists that are ordered by a name: the cursor is the last name, encoded. */
import { SignalboxError } from '../../domain/errors.ts';
import type { Page, PageQuery } from '../service.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** @throws SignalboxError `invalid-cursor`, `invalid-request` */
export function readPageQuery(query: PageQuery): { after: string | null; limit: number } {
  const limit = query.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new SignalboxError('invalid-request', `limit is 1 to ${MAX_LIMIT}`);
  }
  return { after: query.cursor === undefined ? null : decode(query.cursor), limit };
}

/** Makes a page of `limit` items out of at most `limit + 1` rows. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  nameOf: (row: Row) => string,
  toItem: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    nextCursor: rows.length > limit && last !== undefined ? encode(nameOf(last)) : null,
  };
}

function encode(name: string): string {
  return Buffer.from(JSON.stringify([name])).toString('base64url');
}

function decode(cursor: string): string {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(value) && typeof value[0] === 'string') return value[0];
  } catch {
    // Falls through: not one of ours.
  }
  throw new SignalboxError('invalid-cursor');
}
