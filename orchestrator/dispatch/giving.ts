/**
 * Slots that a transaction fills before it commits. They are reserved while it is under way; after its end they are
 * filled, or free again.
 */
import type { Version } from '../runs/versions.ts';
import type { Offer } from './offer.ts';

/** Claims that wait in this server. */
export interface Slots {
  /** One that has a slot left for tasks of the queue, and the code of this one; they take turns. */
  find(queue: string, version: Version, task: number): Offer | undefined;
}

export interface Giving {
  /** Reserves a slot of this offer. */
  take(offer: Offer): void;
  /** Reserves a slot of a claim that waits for tasks of the queue, and has the code of this one. */
  takeWaiting(queue: string, version: Version, task: number): Offer | undefined;
  /** Sessions whose slots are reserved. */
  sessions(): string[];
  /** After a rollback. */
  giveBack(): void;
  /** After a commit, and once the assignments stand in the offers. */
  settle(): void;
}

/** @param slots none where only what is offered may be taken */
export function openGiving(slots: Slots | null): Giving {
  const taken = new Map<Offer, number>();
  /** Versions of which nobody waits for tasks of these queues any more. */
  const exhausted = new Map<Version, Set<string>>();
  const take = (offer: Offer) => {
    offer.left -= 1;
    taken.set(offer, (taken.get(offer) ?? 0) + 1);
  };
  const settle = () => {
    for (const offer of taken.keys()) offer.settled?.();
    taken.clear();
  };
  return {
    take,
    takeWaiting(queue, version, task) {
      if (slots === null || exhausted.get(version)?.has(queue)) return undefined;
      const offer = slots.find(queue, version, task);
      if (offer) take(offer);
      // The next task may be one that somebody has all the same; a claim finds it.
      else exhausted.set(version, (exhausted.get(version) ?? new Set()).add(queue));
      return offer;
    },
    sessions: () => [...new Set([...taken.keys()].map(({ sessionId }) => sessionId))],
    giveBack() {
      for (const [offer, count] of taken) offer.left += count;
      settle();
    },
    settle,
  };
}
