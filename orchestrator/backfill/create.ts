/**
 * Carries backfills on: on a timer under a lease, and at once where a run of one has ended. Who does it is
 * indifferent, since each step is a transaction under the backfill's lock.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { Hub } from '../events/hub.ts';
import type { AnnounceRuns } from '../runs/trigger.ts';
import type { BackfillService, Reconciler, RunService } from '../service.ts';
import { findOpen } from '../store/backfill.ts';
import { type AdvanceDeps, advance } from './advance.ts';
import { createBackfillService } from './service.ts';

const EVERY_MS = 1_000;
/** Ends of runs that come close together are one look. */
const GATHER_MS = 20;
const ACTOR = { name: 'signalbox' };

export interface BackfillsDeps extends AdvanceDeps {
  readonly hub: Hub;
  readonly announceRuns: AnnounceRuns;
  readonly runs: Pick<RunService, 'cancel'>;
  log(message: string): void;
}

export interface Backfills {
  readonly service: BackfillService;
  readonly reconciler: Reconciler;
  close(): Promise<void>;
}

export function createBackfills(deps: BackfillsDeps): Backfills {
  /** Runs under way by backfill, as this server saw them last. */
  const underWay = new Map<string, ReadonlySet<string>>();
  const due = new Set<string>();
  let working: Promise<void> | undefined;
  let closed = false;

  async function step(id: string, wait = false): Promise<void> {
    const done = await advance(deps, id, wait);
    if (!done) return;
    if (done.created.length > 0) deps.announceRuns(done.created);
    if (done.changed || done.running.length === 0) underWay.delete(id);
    else underWay.set(id, new Set(done.running));
    await cancelAll(deps, id, done.toCancel);
    if (done.changed) deps.hub.changed('workflow', '');
  }

  async function work(): Promise<void> {
    while (due.size > 0 && !closed) {
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
      const ids = [...due];
      due.clear();
      for (const id of ids) {
        await step(id).catch((error: Error) =>
          deps.log(`backfill ${id} waits for its next look: ${error.message}`),
        );
      }
    }
    working = undefined;
  }

  const unfollow = deps.hub.onChange(({ topic, id }) => {
    if (topic !== 'run' || closed) return;
    for (const [backfill, runs] of underWay) {
      if (id === '*' || runs.has(id)) due.add(backfill);
    }
    if (due.size > 0) working ??= work();
  });

  return {
    service: createBackfillService({ ...deps, step: (id) => step(id, true) }),
    reconciler: {
      name: 'backfills',
      everyMs: EVERY_MS,
      async run() {
        for (const id of await findOpen(deps.db)) await step(id);
      },
    },
    async close() {
      closed = true;
      unfollow();
      await working;
    },
  };
}

/** Asks for the end of runs; those that have ended meanwhile are as they should be. */
async function cancelAll(
  deps: BackfillsDeps,
  id: string,
  runIds: readonly string[],
): Promise<void> {
  for (const runId of runIds) {
    try {
      await deps.runs.cancel(runId, `backfill ${id} was cancelled`, ACTOR);
    } catch (error) {
      if (!(error instanceof SignalboxError)) throw error;
    }
  }
}
