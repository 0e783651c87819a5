/** Pages of lists that are short enough to be read whole each time. A cursor is the id of a page's last item. */
import { SignalboxError } from '../../domain/errors.ts';

export interface WholeListQuery {
  readonly limit: number;
  readonly cursor?: string;
}

/**
 * The page after the cursor's item.
 * @throws SignalboxError `invalid-cursor`, also where that item is gone
 */
export function pageOfWhole<T>(
  items: readonly T[],
  { limit, cursor }: WholeListQuery,
  idOf: (item: T) => string,
): { items: readonly T[]; nextCursor: string | null } {
  const from =
    cursor === undefined ? 0 : items.findIndex((item) => encode(idOf(item)) === cursor) + 1;
  if (cursor !== undefined && from === 0) throw new SignalboxError('invalid-cursor');
  const page = items.slice(from, from + limit);
  const last = from + limit < items.length ? page.at(-1) : undefined;
  return { items: page, nextCursor: last === undefined ? null : encode(idOf(last)) };
}

function encode(id: string): string {
  return Buffer.from(id).toString('base64url');
}
