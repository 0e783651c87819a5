/**
 * Waiting claims of this server's agents. One claim on the database serves all agents that wait on the same
 * queues; its slots alternate between them, so that few tasks are shared fairly. It is made when an agent comes,
 * when ready tasks are heard of, and now and then besides, since a message may be lost. What it leaves free may be
 * filled by whoever makes tasks ready in this server (`giving.ts`), without a claim.
 */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Assignment, ClaimReply, HeartbeatReply } from '../../domain/agent-protocol.ts';
import { type ClaimDeps, claimFor } from './claim-tasks.ts';
import type { KnownSession } from './sessions.ts';
import { openWaiter, slotsOf, type Waiter } from './waiter.ts';
import type { WaitingClaims } from './waiting-claims.ts';

export interface Claims {
  claim(
    session: KnownSession,
    request: { capacity: number; waitMs: number },
    signal: AbortSignal,
  ): Promise<ClaimReply>;
  /** Ready tasks are heard of in these queues; `*` stands for all. */
  ready(queues: ReadonlySet<string>): void;
  /** Ends the waiting of a session with what it must cancel. */
  interrupt(sessionId: string, cancel: HeartbeatReply['cancel']): void;
  /** Those of the sessions whose agents wait here. */
  waitingAmong(sessionIds: ReadonlySet<string>): string[];
  close(): Promise<void>;
}

const LOOK_EVERY_MS = 1_000;

export function createClaims(
  deps: ClaimDeps & {
    readonly waiting: WaitingClaims;
    /** What was claimed for somebody who had gone. */
    undelivered(sessionId: string, assignments: readonly Assignment[]): void;
    log(message: string): void;
  },
): Claims {
  const { waiting } = deps;
  const waiters = waiting.all;
  const dirty = new Set<string>();
  let pumping: Promise<void> | undefined;

  async function pump(): Promise<void> {
    // Who comes in the same turn is served with the first one, not after it.
    await yieldToOthers();
    while (dirty.size > 0) {
      const queues = new Set(dirty);
      dirty.clear();
      for (const group of groupsOf(waiters, queues)) await serve(deps, group);
    }
  }

  function wake(queues: Iterable<string>): void {
    for (const queue of queues) dirty.add(queue);
    if (waiters.size === 0 || pumping) return;
    pumping = pump()
      .catch((error: Error) => {
        deps.log(`a claim failed: ${error.message}`);
        for (const waiter of waiters) waiter.settled();
      })
      .finally(() => {
        pumping = undefined;
        if (dirty.size > 0 && waiters.size > 0) setTimeout(() => wake([]), 100);
      });
  }

  const timer = setInterval(() => {
    if (waiters.size > 0) wake(['*']);
  }, LOOK_EVERY_MS);
  timer.unref();

  return {
    claim: (session, { capacity, waitMs }, signal) =>
      new Promise((answered) => {
        const waiter = openWaiter({
          ...{ session, capacity, waitMs, signal, answered },
          gone: waiting.remove,
          undelivered: (assignments) => deps.undelivered(session.id, assignments),
        });
        if (waiter.ended) return;
        waiting.add(waiter);
        if (capacity > 0) wake(session.queues);
      }),
    ready: wake,
    interrupt(sessionId, cancel) {
      for (const waiter of waiters) if (waiter.sessionId === sessionId) waiter.answer(cancel);
    },
    waitingAmong(sessionIds) {
      const ids = new Set([...waiters].map(({ sessionId }) => sessionId));
      return [...ids].filter((id) => sessionIds.has(id) || sessionIds.has('*'));
    },
    async close() {
      clearInterval(timer);
      for (const waiter of waiters) waiter.answer();
      await pumping;
    },
  };
}

/** Waiters with free slots for these queues, by the queues that they take. */
function groupsOf(
  waiters: ReadonlySet<Waiter>,
  queues: ReadonlySet<string>,
): Iterable<readonly Waiter[]> {
  const free = [...waiters].filter(
    ({ session, left }) =>
      left > 0 && (queues.has('*') || session.queues.some((name) => queues.has(name))),
  );
  const kindOf = ({ session }: Waiter) =>
    [session.definitions.id, ...session.queues, '', ...session.labels].join('\n');
  return Map.groupBy(free, kindOf).values();
}

/** Claims for waiters of the same queues and labels until they are served or nothing is ready. */
async function serve(deps: ClaimDeps, group: readonly Waiter[]): Promise<void> {
  while (true) {
    const slots = slotsOf(group);
    const [first] = slots;
    if (!first) return;
    const reserved = Map.groupBy(slots, (waiter) => waiter);
    let filled: readonly Waiter[] = [];
    try {
      filled = await claimFor(deps, first.session, slots);
    } finally {
      const used = Map.groupBy(filled, (waiter) => waiter);
      for (const [waiter, { length }] of reserved) {
        waiter.tried = true;
        waiter.left += length - (used.get(waiter)?.length ?? 0);
        waiter.settled();
      }
    }
    if (filled.length < slots.length) return;
  }
}
