/** The claims that wait in this server, and their slots by queue. */
import type { Assignment } from '../../domain/agent-protocol.ts';
import type { Slots } from './giving.ts';
import type { Waiter } from './waiter.ts';

export interface WaitingClaims extends Slots {
  readonly all: ReadonlySet<Waiter>;
  add(waiter: Waiter): void;
  remove(waiter: Waiter): void;
  /** Tells assignments of a session to another claim of its, or to its next one. */
  keep(sessionId: string, assignments: readonly Assignment[]): void;
  /** What was kept for the session, once. */
  kept(sessionId: string): readonly Assignment[];
}

/** Sessions for which something is kept; what falls out is given out anew after a lease. */
const MAX_KEPT = 1_000;

export function createWaitingClaims(): WaitingClaims {
  const all = new Set<Waiter>();
  const byQueue = new Map<string, Set<Waiter>>();
  const undelivered = new Map<string, Assignment[]>();
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
    find(queue) {
      const same = byQueue.get(queue);
      if (!same) return undefined;
      for (const waiter of same) {
        if (waiter.left <= 0) continue;
        // To the end of the line.
        if (same.size > 1 && same.delete(waiter)) same.add(waiter);
        return waiter;
      }
      return undefined;
    },
    keep(sessionId, assignments) {
      for (const waiter of all) {
        if (waiter.sessionId !== sessionId || waiter.left < assignments.length) continue;
        waiter.left -= assignments.length;
        waiter.assignments.push(...assignments);
        waiter.settled();
        return;
      }
      const kept = undelivered.get(sessionId) ?? [];
      undelivered.delete(sessionId);
      undelivered.set(sessionId, [...kept, ...assignments]);
      const [oldest] = undelivered.keys();
      if (undelivered.size > MAX_KEPT && oldest !== undefined) undelivered.delete(oldest);
    },
    kept(sessionId) {
      const kept = undelivered.get(sessionId) ?? [];
      undelivered.delete(sessionId);
      return kept;
    },
  };
}
