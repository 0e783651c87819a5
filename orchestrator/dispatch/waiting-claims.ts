/** The claims that wait in this server, and their slots by queue. */
import type { Slots } from './giving.ts';
import type { Waiter } from './waiter.ts';

export interface WaitingClaims extends Slots {
  readonly all: ReadonlySet<Waiter>;
  add(waiter: Waiter): void;
  remove(waiter: Waiter): void;
}

export function createWaitingClaims(): WaitingClaims {
  const all = new Set<Waiter>();
  const byQueue = new Map<string, Set<Waiter>>();
  return {
    all,
    add(waiter) {
      all.add(waiter);
      for (const queue of waiter.queues) {
        const same = byQueue.get(queue);
        if (same) same.add(waiter);
        else byQueue.set(queue, new Set([waiter]));
      }
    },
    remove(waiter) {
      all.delete(waiter);
      for (const queue of waiter.queues) {
        const same = byQueue.get(queue);
        same?.delete(waiter);
        if (same?.size === 0) byQueue.delete(queue);
      }
    },
    find(queue, version, task) {
      const same = byQueue.get(queue);
      if (!same) return undefined;
      for (const waiter of same) {
        if (waiter.left <= 0 || waiter.definitions.fits(version, task) !== true) continue;
        // To the end of the line.
        if (same.size > 1 && same.delete(waiter)) same.add(waiter);
        return waiter;
      }
      return undefined;
    },
  };
}
