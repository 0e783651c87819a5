/**
 * Live rows of runs as this server wrote them last. Ends of tasks are recorded on them without reading; where one is
 * no longer as it is here, the statement fails, and the row is forgotten and read (`recordUnread`). So it does
 * not matter who else changes a row, nor what is kept here for how long.
 */
import { createRecent } from '../runs/recent.ts';
import type { HeldLiveRun } from '../store/run-live.ts';

export interface LiveRuns {
  get(runId: string): HeldLiveRun | undefined;
  set(run: HeldLiveRun): void;
  forget(runId: string): void;
}

/** Bytes of all that is kept, roughly. */
const MAX_BYTES = 16 * 1024 * 1024;
const BYTES_A_RUN = 400;
const BYTES_HELD = 120;

/** An empty one. */
export function createLiveRuns(): LiveRuns {
  const known = createRecent<string, HeldLiveRun>(
    MAX_BYTES,
    ({ tasks, held }) => BYTES_A_RUN + tasks.length + held.size * BYTES_HELD,
  );
  return {
    get: (runId) => known.get(runId),
    // Only plain runs: what is to be cancelled, stands still, or has more tasks than its graph, is always read.
    set(run) {
      if (isPlain(run)) known.set(run.runId, run);
      else known.delete(run.runId);
    },
    forget: (runId) => known.delete(runId),
  };
}

function isPlain({ cancelReason, paused, expanded, lastAttempts }: HeldLiveRun): boolean {
  return cancelReason === null && !paused && expanded === null && lastAttempts === null;
}
