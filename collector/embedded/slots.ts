/** How many queries run at a time. Those over the limit are refused at once, not queued without end. */
import type { User } from './access.ts';
import { exception } from './exceptions.ts';
import { MAX_RUNNING_QUERIES } from './options.ts';

/** Readers alone never take all: the product can always write. */
const MAX_READER_QUERIES = 40;

/** Counts what runs. */
export interface Slots {
  /**
   * Takes a place; the result gives it back.
   * @throws ClickHouseException TOO_MANY_SIMULTANEOUS_QUERIES
   */
  take(user: User): () => void;
}

/** Makes the count of one server. */
export function makeSlots(): Slots {
  const running = { reader: 0, writer: 0 };
  return {
    take(user) {
      const all = running.reader + running.writer;
      const isFull = all >= MAX_RUNNING_QUERIES;
      if (isFull || (user === 'reader' && running.reader >= MAX_READER_QUERIES)) {
        const maximum = isFull ? MAX_RUNNING_QUERIES : MAX_READER_QUERIES;
        throw exception(
          'TOO_MANY_SIMULTANEOUS_QUERIES',
          `Too many simultaneous queries. Maximum: ${maximum}.`,
        );
      }
      running[user] += 1;
      let isTaken = true;
      return () => {
        if (isTaken) running[user] -= 1;
        isTaken = false;
      };
    },
  };
}
