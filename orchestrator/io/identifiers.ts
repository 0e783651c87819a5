/** Names of schemas, databases and tables: what the user gives is checked, what comes from a key is made fit. */
import { createHash } from 'node:crypto';
import { DefinitionError, type Read } from '../define/options.ts';

const MAX_BYTES = 63;
const HASH_LENGTH = 8;
const PLAIN = /^[\p{L}_][\p{L}\p{N}_$]*$/u;

/** A name as it may stand in SQL when it is quoted; at most 63 bytes, as PostgreSQL keeps no more. */
export const identifier: Read<string> = (value) => {
  if (typeof value === 'string' && PLAIN.test(value) && Buffer.byteLength(value) <= MAX_BYTES) {
    return value;
  }
  throw new DefinitionError(
    `must be a name of letters, digits and _, at most ${MAX_BYTES} bytes, not ${JSON.stringify(value)}`,
  );
};

/** The table of an asset that names none: `shop/orders` is `shop_orders`. */
export function tableOf(assetKey: string): string {
  const name = assetKey.replace(/[^\p{L}\p{N}_]+/gu, '_').replace(/^(?=\p{N})/u, '_');
  return Buffer.byteLength(name) <= MAX_BYTES ? name : withHash(name, assetKey);
}

/** A name beside another one, told apart by what is hashed; it fits, however long the other is. */
export function withHash(name: string, hashed: string): string {
  const hash = createHash('sha256').update(hashed).digest('hex').slice(0, HASH_LENGTH);
  let kept = name;
  while (Buffer.byteLength(kept) > MAX_BYTES - HASH_LENGTH - 1) kept = kept.slice(0, -1);
  return `${kept.toWellFormed()}_${hash}`;
}
