/**
 * Lets tasks through the gates that they wait at, whenever one is left or comes to. What has to be looked at is told
 * by rows that were written with the change itself (`gate_due`); so nothing is lost with a server, and whichever
 * server hears of it first does it. Where no task has a limit, it costs one look at an empty table now and then.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { admit, hasDueGates, sweepGates, takeDueGates } from '../store/gate.ts';

export interface Admitter {
  readonly reconciler: Reconciler;
  /** Something became ready or ended. Cheap where no task was limited lately. */
  nudge(): void;
  close(): Promise<void>;
}

const LOOK_EVERY_MS = 200;
const SWEEP_EVERY_MS = 2_000;
/** Looks that come close together are one; after one that found nothing, most of what happens has no limits. */
const GATHER_MS = 3;
const GATHER_IDLE_MS = 15;
const MAX_GATES = 500;
/** For so long after the last limited task each change is followed by a look. */
const IN_USE_MS = 30_000;

export function createAdmitter(deps: {
  readonly db: Db;
  ready(queues: ReadonlySet<string>): void;
  log(message: string): void;
}): Admitter {
  const { db } = deps;
  let inUseUntil = 0;
  let again = false;
  let closed = false;
  let found = true;
  let working: Promise<void> | undefined;

  async function work(): Promise<void> {
    do {
      await delay(found ? GATHER_MS : GATHER_IDLE_MS);
      again = false;
      found = false;
      let taken = MAX_GATES;
      while (taken > 0 && !closed) {
        const { queues, count } = await admitDue(db);
        taken = count;
        found ||= taken > 0;
        if (taken > 0) inUseUntil = performance.now() + IN_USE_MS;
        if (queues.length > 0) deps.ready(new Set(queues));
      }
    } while (again && !closed);
  }

  function start(): void {
    again = true;
    if (working || closed) return;
    working = work()
      .catch((error: Error) => deps.log(`tasks wait on at their limits: ${error.message}`))
      .finally(() => {
        working = undefined;
      });
  }

  const timer = setInterval(() => {
    if (performance.now() < inUseUntil) start();
    else {
      hasDueGates(db).then(
        (due) => due && start(),
        (error: Error) => deps.log(`limits of tasks were not looked at: ${error.message}`),
      );
    }
  }, LOOK_EVERY_MS);
  timer.unref();

  return {
    nudge() {
      if (performance.now() < inUseUntil) start();
    },
    reconciler: {
      name: 'gate-sweep',
      everyMs: SWEEP_EVERY_MS,
      async run() {
        await sweepGates(db);
        start();
        await working;
      },
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await working;
    },
  };
}

/** Lets through what the next due gates have room for. @returns queues that have ready tasks, and gates looked at */
function admitDue(db: Db): Promise<{ queues: readonly string[]; count: number }> {
  return db.transaction(async (tx) => {
    const gates = await takeDueGates(tx, MAX_GATES);
    const passed = gates.length === 0 ? null : await admit(tx, [...new Set(gates)]);
    return { queues: passed?.queues ?? [], count: gates.length };
  });
}
