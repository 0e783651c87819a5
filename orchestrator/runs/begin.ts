/** Letting a run begin, or go on where it stood: the tasks whose upstream has all succeeded become ready. */
import { LIVE, PENDING, SUCCEEDED } from '../dispatch/task-codes.ts';
import type { NewLiveTask } from '../store/task-live.ts';
import { readyTask } from './trigger.ts';
import type { Version } from './versions.ts';

/**
 * Makes ready what can start.
 * @param vector how the tasks stand; is not changed
 * @param lastAttempts of the tasks that had one: attempts go on counting
 */
export function beginTasks(
  run: { runId: string; version: Version; priority: number },
  vector: Uint8Array,
  lastAttempts: ReadonlyMap<number, number>,
): { vector: Uint8Array; tasks: NewLiveTask[] } {
  const next = Uint8Array.from(vector);
  const tasks: NewLiveTask[] = [];
  for (const [index, task] of run.version.tasks.entries()) {
    if (vector[index] !== PENDING) continue;
    if (!task.after.every((upstream) => vector[upstream] === SUCCEEDED)) continue;
    next[index] = LIVE;
    tasks.push({
      ...readyTask(run.runId, run.version, index, run.priority),
      attempt: (lastAttempts.get(index) ?? 0) + 1,
    });
  }
  return { vector: next, tasks };
}

/** The vector of an ended run for its next try: what succeeded stays, the rest is pending. */
export function reopenedVector(version: Version, ended: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: version.tasks.length }, (_, index) =>
    ended[index] === SUCCEEDED ? SUCCEEDED : PENDING,
  );
}
