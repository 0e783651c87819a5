/** Lets runs begin that wait for room: when a run of their workflow has ended, and now and then besides. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Reconciler } from '../service.ts';
import { findWaitingWorkflows } from '../store/run-workflow.ts';
import { type ChangeDeps, promoteRuns } from './change.ts';

export interface Promoter {
  readonly reconciler: Reconciler;
  /** Runs of the workflow ended. Cheap where none waits. */
  ended(workflow: string): void;
  /** Runs of the workflow wait for room. */
  waits(workflow: string): void;
  close(): Promise<void>;
}

const EVERY_MS = 2_000;
/** Ends of runs that come close together are looked at once. */
const GATHER_MS = 2;

export function createPromoter(
  deps: ChangeDeps & {
    announce(runs: readonly string[], queues: ReadonlySet<string>): void;
    log(message: string): void;
  },
): Promoter {
  /** Workflows that are known to have waiting runs. Another server's are found by the reconciler. */
  const waiting = new Set<string>();
  const due = new Set<string>();
  let running: Promise<void> | undefined;

  async function promote(workflow: string): Promise<void> {
    const { runs, queues } = await promoteRuns(deps, workflow);
    if (runs.length > 0) deps.announce(runs, queues);
  }

  async function work(): Promise<void> {
    while (due.size > 0) {
      await delay(GATHER_MS);
      const workflows = [...due];
      due.clear();
      for (const workflow of workflows) {
        await promote(workflow).catch((error: Error) =>
          deps.log(`runs of ${workflow} wait on: ${error.message}`),
        );
      }
    }
    running = undefined;
  }

  return {
    ended(workflow) {
      if (!waiting.has(workflow)) return;
      due.add(workflow);
      running ??= work();
    },
    waits(workflow) {
      waiting.add(workflow);
    },
    reconciler: {
      name: 'run-promoter',
      everyMs: EVERY_MS,
      async run() {
        const found = await findWaitingWorkflows(deps.db);
        waiting.clear();
        for (const workflow of found) {
          waiting.add(workflow);
          await promote(workflow);
        }
      },
    },
    async close() {
      due.clear();
      await running;
    },
  };
}
