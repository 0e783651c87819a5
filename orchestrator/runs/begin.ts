/** What of an ended run is to run again when it is tried once more. */
import {
  CANCELLED,
  FAILED,
  isEnded,
  PENDING,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_FAILED,
} from '../dispatch/task-codes.ts';
import { expansionOf } from './expansion.ts';
import type { Version } from './versions.ts';

const RUN_AGAIN: readonly number[] = [PENDING, FAILED, CANCELLED, UPSTREAM_FAILED];

/**
 * The vector of an ended run for its next try: what succeeded stays, and what a branch did not choose. What failed,
 * was cancelled, or was skipped by a rule that something of it decided, is pending again; so are the setups and
 * teardowns around it, since what they had set up is gone.
 */
export function reopenedVector(version: Version, ended: Uint8Array): Uint8Array {
  const length = Math.max(version.tasks.length, ended.length);
  const vector = new Uint8Array(length).fill(SUCCEEDED);
  vector.set(ended);
  const left: number[] = [];
  const again = (task: number) => {
    vector[task] = PENDING;
    left.push(task);
  };
  for (const [task, code] of vector.entries()) if (RUN_AGAIN.includes(code)) again(task);
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    const { instance, map } = version.tasks[task] ?? {};
    if (instance && isEnded(vector[instance.of] ?? 0)) again(instance.of);
    // A list that could not be used is to be made anew.
    const list = map && isRefused(version, task) ? map.over : -1;
    if (isEnded(vector[list] ?? 0)) again(list);
    for (const dependent of version.dependents[task] ?? []) {
      const { teardown } = version.tasks[dependent] ?? {};
      const around = teardown ? [dependent, ...teardown.setups] : [];
      for (const each of around) if (isEnded(vector[each] ?? 0)) again(each);
      if (vector[dependent] === SKIPPED) again(dependent);
    }
  }
  return vector;
}

function isRefused(version: Version, task: number): boolean {
  const [, first] = expansionOf(version, task) ?? [];
  return first === -1;
}
