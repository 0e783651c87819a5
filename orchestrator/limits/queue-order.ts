/**
 * Queues that go before others, where a task is about to be handed straight on. Claims take from the higher queue first,
 * but a long chain of a lower one would keep its agent's slot without ever claiming. So while a higher queue of the
 * agent has work that could start, what became ready in a lower one is not handed on: the slot is free, and the next
 * claim decides. What waits is looked up a few times a second, and only where queues have priorities at all; asking
 * costs a look at an empty map otherwise.
 */
import type { Db } from '../store/connection.ts';
import { hasQueuePriorities, readWaitingQueues } from '../store/queue-order.ts';

export interface QueueOrder {
  /** Whether a task of the queue should leave the slot to a higher queue that the same agent serves. */
  yields(queue: string, served: ReadonlySet<string> | undefined): boolean;
  /** Looks anew; for who cannot wait for the next look. */
  refresh(): Promise<void>;
  close(): void;
}

const LOOK_EVERY_MS = 200;
/** While no queue has a priority. */
const IDLE_LOOKS = 5;

export function createQueueOrder(db: Db, log: (message: string) => void): QueueOrder {
  let waiting: ReadonlyMap<string, number> = new Map();
  let priorities: ReadonlyMap<string, number> = new Map();
  let idle = 0;

  async function refresh(): Promise<void> {
    idle = 0;
    priorities = await hasQueuePriorities(db);
    waiting = priorities.size === 0 ? new Map() : await readWaitingQueues(db);
  }

  const timer = setInterval(() => {
    idle += 1;
    if (priorities.size === 0 && idle < IDLE_LOOKS) return;
    refresh().catch((error: Error) => log(`priorities of queues were not read: ${error.message}`));
  }, LOOK_EVERY_MS);
  timer.unref();

  return {
    yields(queue, served) {
      if (waiting.size === 0 || served === undefined || served.size < 2) return false;
      const own = priorities.get(queue) ?? 0;
      for (const [name, priority] of waiting) {
        if (priority > own && served.has(name)) return true;
      }
      return false;
    },
    refresh,
    close: () => clearInterval(timer),
  };
}
