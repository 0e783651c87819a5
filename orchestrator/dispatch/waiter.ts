/** A claim of an agent that waits for its answer. */
import type { Assignment, ClaimReply } from '../../domain/agent-protocol.ts';
import type { KnownSession } from './sessions.ts';

export interface Waiter {
  readonly session: KnownSession;
  readonly capacity: number;
  readonly got: Assignment[];
  /** True once it was answered, or nobody waits for the answer any more. */
  ended: boolean;
  /** Its time is over; it is answered after the claim that is under way for it. */
  expired: boolean;
  /** Whether a claim was made for it: also who does not want to wait gets one. */
  tried: boolean;
  answer(reply: ClaimReply): void;
}

/** Slots of one claim on the database. */
const MAX_SLOTS = 1_000;
const MAX_WAIT_MS = 60_000;

/** Lets an agent wait until it is answered, its time is over, or it goes away. */
export function openWaiter(
  waiters: Set<Waiter>,
  session: KnownSession,
  { capacity, waitMs }: { capacity: number; waitMs: number },
  signal: AbortSignal,
  resolve: (reply: ClaimReply) => void,
): Waiter {
  const end = () => waiter.answer({ assignments: [] });
  const expire = () => {
    waiter.expired = true;
    if (waiter.tried || capacity <= 0) end();
  };
  const timer = setTimeout(expire, Math.min(Math.max(0, waitMs), MAX_WAIT_MS));
  const waiter: Waiter = {
    session,
    capacity,
    got: [],
    ended: false,
    expired: false,
    tried: false,
    answer(reply) {
      if (waiter.ended) return;
      waiter.ended = true;
      waiters.delete(waiter);
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve(reply);
    },
  };
  waiters.add(waiter);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  return waiter;
}

/** Slots of the waiters in turn: one of each, then the second of each … */
export function slotsOf(waiters: readonly Waiter[]): { sessionId: string }[] {
  const slots: { sessionId: string }[] = [];
  for (let round = 0; slots.length < MAX_SLOTS; round += 1) {
    const before = slots.length;
    for (const { session, capacity } of waiters) {
      if (round < capacity && slots.length < MAX_SLOTS) slots.push({ sessionId: session.id });
    }
    if (slots.length === before) break;
  }
  return slots;
}
