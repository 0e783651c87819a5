/**
 * Waiting claims of this server's agents. One claim on the database serves all agents that wait on the same
 * queues; its slots alternate between them, so that few tasks are shared fairly. It is made when an agent comes,
 * when ready tasks are heard of, and now and then besides, since a message may be lost.
 */
import type { ClaimReply, HeartbeatReply } from '../../domain/agent-protocol.ts';
import type { Clock } from '../../domain/time.ts';
import { collectChanges } from '../events/changes.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { findHoldingLease } from '../store/agent-session.ts';
import {
  type ClaimedTask,
  findLimited,
  markRunning,
  pickLimitedTasks,
  pickTasks,
  releaseTasks,
  takeTasks,
} from '../store/claim.ts';
import { type Db, lookUpByKey } from '../store/connection.ts';
import { toAssignment } from './offer.ts';
import type { KnownSession } from './sessions.ts';
import type { Tokens } from './tokens.ts';
import { openWaiter, slotsOf, type Waiter } from './waiter.ts';

export interface ClaimDeps {
  /** Connections that may read in the order of an index. */
  readonly claims: Db;
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly tokens: Tokens;
  log(message: string): void;
  /** Runs that became running. */
  started(runIds: readonly string[]): void;
}

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

export function createClaims(deps: ClaimDeps): Claims {
  const waiters = new Set<Waiter>();
  const dirty = new Set<string>();
  let pumping: Promise<void> | undefined;

  async function pump(): Promise<void> {
    while (dirty.size > 0) {
      const queues = new Set(dirty);
      dirty.clear();
      const groups = Map.groupBy(
        [...waiters].filter(
          ({ session, capacity }) =>
            capacity > 0 && (queues.has('*') || session.queues.some((name) => queues.has(name))),
        ),
        ({ session }) => session.queues.join('\n'),
      );
      for (const group of groups.values()) await serve(deps, group);
    }
  }

  function wake(queues: Iterable<string>): void {
    for (const queue of queues) dirty.add(queue);
    if (waiters.size === 0 || pumping) return;
    pumping = pump()
      .catch((error: Error) => {
        deps.log(`a claim failed: ${error.message}`);
        for (const waiter of waiters) if (waiter.expired) waiter.answer({ assignments: [] });
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
    claim: (session, request, signal) =>
      new Promise((resolve) => {
        const waiter = openWaiter(waiters, session, request, signal, resolve);
        if (!waiter.ended && waiter.capacity > 0) wake(session.queues);
      }),
    ready: wake,
    interrupt(sessionId, cancel) {
      for (const waiter of waiters) {
        if (waiter.session.id === sessionId) waiter.answer({ assignments: [], cancel });
      }
    },
    waitingAmong(sessionIds) {
      const waiting = new Set([...waiters].map(({ session }) => session.id));
      return [...waiting].filter((id) => sessionIds.has(id) || sessionIds.has('*'));
    },
    async close() {
      clearInterval(timer);
      for (const waiter of waiters) waiter.answer({ assignments: [] });
      await pumping;
    },
  };
}

/** Claims for waiters of the same queues until they are served or nothing is ready. */
async function serve(deps: ClaimDeps, group: readonly Waiter[]): Promise<void> {
  while (true) {
    const left = group.filter(({ ended }) => !ended);
    const [first] = left;
    if (!first) return;
    const slots = slotsOf(left);
    const found = await claimFor(deps, first.session.queues, slots);
    await hand(deps, left, found);
    if (found.length < slots.length) return;
  }
}

/** Answers with what was claimed. What was claimed for somebody who has gone becomes ready again. */
async function hand(
  deps: ClaimDeps,
  group: readonly Waiter[],
  found: readonly ClaimedTask[],
): Promise<void> {
  const bySession = Map.groupBy(group, ({ session }) => session.id);
  const lost: ClaimedTask[] = [];
  for (const claimed of found) {
    const waiter = bySession
      .get(claimed.sessionId)
      ?.find(({ ended, got, capacity }) => !ended && got.length < capacity);
    const info = deps.infos.get(claimed.runId);
    const task = info?.version.tasks[claimed.task];
    if (waiter && info && task) {
      waiter.got.push(toAssignment(info, task, claimed.attempt, claimed.token, claimed.lost > 0));
    } else {
      lost.push(claimed);
    }
  }
  for (const waiter of group) {
    waiter.tried = true;
    if (waiter.got.length > 0 || waiter.expired) waiter.answer({ assignments: waiter.got });
  }
  if (lost.length > 0) await releaseTasks(deps.db, lost);
}

/** One claim on the database for these slots. */
async function claimFor(
  deps: ClaimDeps,
  queues: readonly string[],
  slots: readonly { sessionId: string }[],
): Promise<readonly ClaimedTask[]> {
  const limited = await findLimited(deps.claims, queues);
  await deps.tokens.ensure(deps.db);
  const startedRuns: string[] = [];
  const claimed = await deps.claims.transaction(async (tx) => {
    startedRuns.length = 0;
    const [live, picked] = await Promise.all([
      findHoldingLease(tx, [...new Set(slots.map(({ sessionId }) => sessionId))]),
      limited.length > 0
        ? pickLimitedTasks(tx, queues, slots.length)
        : pickTasks(tx, queues, slots.length),
    ]);
    const valid = slots.filter(({ sessionId }) => live.has(sessionId));
    const found = picked.flatMap((task, index): ClaimedTask[] => {
      const slot = valid[index];
      return slot ? [{ ...task, sessionId: slot.sessionId, token: deps.tokens.next() }] : [];
    });
    if (found.length === 0) return found;
    const runIds = [...new Set(found.map((task) => task.runId))];
    const [, , running] = await Promise.all([
      lookUpByKey(tx),
      takeTasks(tx, found),
      markRunning(tx, runIds),
    ]);
    const changes = collectChanges(deps.clock.now());
    for (const { runId, startedAt } of running) {
      startedRuns.push(runId);
      changes.run(runId, { state: 'running', startedAt });
    }
    await changes.append(tx);
    return found;
  });
  await deps.infos.loadTasks(deps.db, claimed);
  deps.started(startedRuns);
  return claimed;
}
