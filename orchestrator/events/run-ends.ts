/** Which runs have ended, of what stands in a row of changes. Pure. */
import { isTerminalRun, type RunState } from '../../domain/run.ts';
import type { StoredChanges } from './changes.ts';

export interface RunEnd {
  readonly runId: string;
  readonly state: RunState;
}

/** @param events of a row of the kind `change` */
export function runEndsIn(events: string): readonly RunEnd[] {
  const { runs, changes } = JSON.parse(events) as StoredChanges;
  return changes.flatMap(([run, task, , word]): RunEnd[] => {
    const runId = runs[run];
    const state = word as RunState;
    return task < 0 && runId !== undefined && isTerminalRun(state) ? [{ runId, state }] : [];
  });
}
