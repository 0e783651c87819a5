/** A claim of an agent that waits for its answer. Its free slots may be filled by whoever has tasks for it. */
import type { Assignment, ClaimReply } from '../../domain/agent-protocol.ts';
import type { Offer } from './offer.ts';
import type { KnownSession } from './sessions.ts';

export interface Waiter extends Offer {
  readonly session: KnownSession;
  /** True once it was answered, or nobody waits for the answer any more. */
  ended: boolean;
  /** Whether a claim was made for it: also who does not want to wait gets one. */
  tried: boolean;
  settled(): void;
  /** Answers with what it has, and this. */
  answer(cancel?: ClaimReply['cancel']): void;
}

export interface Waiting {
  readonly session: KnownSession;
  readonly capacity: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  answered(reply: ClaimReply): void;
  /** Told once it has ended. */
  gone(waiter: Waiter): void;
  /** What nobody waited for any more when it was there. */
  undelivered(assignments: readonly Assignment[]): void;
}

const MAX_WAIT_MS = 60_000;

/** Lets an agent wait until it is answered, its time is over, or it goes away. */
export function openWaiter(waiting: Waiting): Waiter {
  const { session, capacity, waitMs, signal } = waiting;
  let expired = false;
  let cancel: ClaimReply['cancel'];
  const expire = () => {
    expired = true;
    if (waiter.tried || capacity <= 0) waiter.settled();
  };
  const timer = setTimeout(expire, Math.min(Math.max(0, waitMs), MAX_WAIT_MS));
  const end = () => {
    if (waiter.ended) return;
    waiter.ended = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
    waiting.gone(waiter);
  };
  const leave = () => {
    end();
    waiting.answered({ assignments: [] });
  };
  const waiter: Waiter = {
    ...{ session, sessionId: session.id, queues: session.queueSet },
    // An agent may read its files again while it waits.
    get definitions() {
      return session.definitions;
    },
    left: Math.max(0, capacity),
    assignments: [],
    ended: false,
    tried: false,
    settled() {
      if (waiter.ended) {
        if (waiter.assignments.length > 0) waiting.undelivered(waiter.assignments.splice(0));
        return;
      }
      // Slots of a transaction that is still under way are told with its end.
      if (capacity - waiter.left > waiter.assignments.length) return;
      if (waiter.assignments.length === 0 && !expired && !cancel) return;
      end();
      waiting.answered({ assignments: waiter.assignments, ...(cancel ? { cancel } : {}) });
    },
    answer(more) {
      expired = true;
      if (more) cancel = more;
      waiter.settled();
    },
  };
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  return waiter;
}

/** Slots of one claim on the database. */
const MAX_SLOTS = 1_000;

/** Reserves slots of the waiters in turn: one of each, then the second of each … */
export function slotsOf(waiters: readonly Waiter[]): Waiter[] {
  const slots: Waiter[] = [];
  while (slots.length < MAX_SLOTS) {
    const before = slots.length;
    for (const waiter of waiters) {
      if (waiter.ended || waiter.left <= 0 || slots.length >= MAX_SLOTS) continue;
      waiter.left -= 1;
      slots.push(waiter);
    }
    if (slots.length === before) break;
  }
  return slots;
}
