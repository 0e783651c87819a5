/**
 * Fencing tokens: unique over all servers. A server takes a block of a million from the database and gives them
 * out from memory, so that a task that is handed straight on needs no answer from the database to have its token.
 */
import type { Tx } from '../store/connection.ts';

const BLOCK = 1_000_000;
/** More than all that is given out before somebody makes sure again. */
const ENOUGH = 200_000;

export interface Tokens {
  /** Makes sure that there are enough for a transaction. Undefined where there are. */
  ensure(db: Tx): Promise<void> | undefined;
  /** The next one. `ensure` has been called since the last transaction. */
  next(): string;
}

export function createTokens(): Tokens {
  let next = 0;
  let end = 0;
  /** The block that follows. */
  let spare: number | null = null;
  let taking: Promise<void> | undefined;

  async function take(db: Tx): Promise<void> {
    const [row] = await db.query<{ block: string }>(
      `SELECT nextval('signalbox.token_block') AS block`,
    );
    spare = Number(row?.block ?? 0) * BLOCK;
  }

  return {
    ensure(db) {
      if (end - next >= ENOUGH || spare !== null) return undefined;
      taking ??= take(db).finally(() => {
        taking = undefined;
      });
      return taking;
    },
    next() {
      if (next >= end) {
        if (spare === null) throw new Error('more tokens than were set aside');
        next = spare;
        end = spare + BLOCK;
        spare = null;
      }
      const token = next;
      next += 1;
      return String(token);
    },
  };
}
