/**
 * Fencing tokens: unique over all servers. A server takes a block of a million from the database and gives them
 * out from memory, so that a task that is handed straight on needs no answer from the database to have its token.
 */
import type { Tx } from '../store/connection.ts';

const BLOCK = 1_000_000;

export interface Tokens {
  /** Sets tokens aside. @returns what gives them out, one a call, `count` in all */
  take(tx: Tx, count: number): Promise<() => string>;
}

export function createTokens(): Tokens {
  let next = 0n;
  let end = 0n;
  return {
    async take(tx, count) {
      if (count > BLOCK) throw new RangeError(`more than ${BLOCK} tokens at once`);
      if (end - next < BigInt(count)) {
        const [row] = await tx.query<{ block: string }>(
          `SELECT nextval('signalbox.token_block') AS block`,
        );
        next = BigInt(row?.block ?? 0) * BigInt(BLOCK);
        end = next + BigInt(BLOCK);
      }
      let token = next;
      next += BigInt(count);
      const last = next;
      return () => {
        if (token >= last) throw new Error('more tokens than were set aside');
        const text = token.toString();
        token += 1n;
        return text;
      };
    },
  };
}
