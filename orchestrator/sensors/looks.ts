/**
 * Looks of sensors, given to agents that wait for them. One statement takes what is due for all agents that wait on
 * the same queues, a few times a second; a look whose agent is gone, or that goes on beyond its time, is taken again.
 */
import type { Look, LooksRequest } from '../../domain/sensor.ts';
import type { KnownSession } from '../dispatch/sessions.ts';
import type { Db } from '../store/connection.ts';
import { type ClaimedLook, claimLooks, findWaitingEvents, releaseLooks } from '../store/sensor.ts';

export interface Looks {
  claim(
    session: KnownSession,
    request: LooksRequest,
    signal: AbortSignal,
  ): Promise<{ looks: readonly Look[] }>;
  /** Something may be due. */
  nudge(): void;
  close(): Promise<void>;
}

interface Waiter {
  readonly session: KnownSession;
  readonly capacity: number;
  answer(looks: readonly Look[]): void;
}

const LOOK_EVERY_MS = 250;
const MAX_WAIT_MS = 60_000;
const MAX_CAPACITY = 100;
/** Events of one look; where the last one failed there is one, so that a bad one is found. */
const EVENTS_A_LOOK = 100;

export function createLooks(deps: { readonly db: Db; log(message: string): void }): Looks {
  const waiters = new Set<Waiter>();
  let pumping: Promise<void> | undefined;
  let again = false;

  async function pump(): Promise<void> {
    do {
      again = false;
      const groups = Map.groupBy([...waiters], ({ session }) =>
        [session.definitions.id, ...session.queues].join('\n'),
      );
      for (const group of groups.values()) await serve(group);
    } while (again);
  }

  /** The first that finds nothing due speaks for the others of its queues. */
  async function serve(group: readonly Waiter[]): Promise<void> {
    for (const waiter of group) {
      if (!waiters.has(waiter)) continue;
      const claimed = await claimFor(deps.db, waiter);
      if (claimed.length === 0) return;
      const looks = await Promise.all(claimed.map((one) => toLook(deps.db, one)));
      if (waiters.has(waiter)) waiter.answer(looks);
      else await releaseLooks(deps.db, claimed);
    }
  }

  function nudge(): void {
    if (waiters.size === 0) return;
    again = true;
    pumping ??= pump()
      .catch((error: Error) => deps.log(`looks of sensors wait: ${error.message}`))
      .finally(() => {
        pumping = undefined;
      });
  }

  const timer = setInterval(nudge, LOOK_EVERY_MS).unref();

  return {
    claim: (session, request, signal) =>
      new Promise((resolve) => {
        const waiter: Waiter = {
          session,
          capacity: Math.min(MAX_CAPACITY, request.capacity),
          answer(looks) {
            waiters.delete(waiter);
            clearTimeout(over);
            signal.removeEventListener('abort', end);
            resolve({ looks });
          },
        };
        const end = () => waiter.answer([]);
        const over = setTimeout(end, Math.min(MAX_WAIT_MS, Math.max(0, request.waitMs)));
        if (signal.aborted || request.capacity <= 0) {
          end();
          return;
        }
        waiters.add(waiter);
        signal.addEventListener('abort', end, { once: true });
        nudge();
      }),
    nudge,
    async close() {
      clearInterval(timer);
      for (const waiter of [...waiters]) waiter.answer([]);
      await pumping;
    },
  };
}

function claimFor(db: Db, { session, capacity }: Waiter): Promise<ClaimedLook[]> {
  const { queues, id, definitions } = session;
  return claimLooks(db, queues, capacity, id, definitions.id);
}

async function toLook(db: Db, claimed: ClaimedLook): Promise<Look> {
  const limit = claimed.failures > 0 ? 1 : EVENTS_A_LOOK;
  const events = await findWaitingEvents(db, claimed.name, limit);
  return {
    sensor: claimed.name,
    token: claimed.token,
    cursor: claimed.cursor,
    state: claimed.state,
    timeoutMs: claimed.timeout_ms,
    events: events.map(({ id, key, body, at }) => ({ id, key, body, at: at.toISOString() })),
  };
}
