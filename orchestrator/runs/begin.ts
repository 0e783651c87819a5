/** Letting a run begin, or go on where it stood: the tasks whose rules hold become ready. */
import { planBegin, type RunPlan } from '../dispatch/plan.ts';
import {
  CANCELLED,
  FAILED,
  isEnded,
  PENDING,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_FAILED,
} from '../dispatch/task-codes.ts';
import type { NewLiveTask } from '../store/task-live.ts';
import { readyTask } from './trigger.ts';
import type { Version } from './versions.ts';

/**
 * Makes ready what can start.
 * @param vector how the tasks stand; is not changed
 * @param lastAttempts of the tasks that had one: attempts go on counting
 */
export function beginTasks(
  run: { readonly runId: string; readonly version: Version; readonly priority: number },
  vector: Uint8Array,
  lastAttempts: ReadonlyMap<number, number>,
): { vector: Uint8Array; tasks: NewLiveTask[]; end: RunPlan['end'] } {
  const plan = planBegin(run.version, vector, lastAttempts);
  const tasks = plan.next.map((next) => ({
    ...readyTask(run.runId, plan.version, next.task, run.priority),
    ...next,
  }));
  return { vector: plan.vector, tasks, end: plan.end };
}

const RUN_AGAIN: readonly number[] = [PENDING, FAILED, CANCELLED, UPSTREAM_FAILED];

/**
 * The vector of an ended run for its next try: what succeeded stays, and what a branch did not choose. What failed,
 * was cancelled, or was skipped by a rule that something of it decided, is pending again; so are the setups and
 * teardowns around it, since what they had set up is gone.
 */
export function reopenedVector(version: Version, ended: Uint8Array): Uint8Array {
  const vector = Uint8Array.from(version.tasks, (_, task) => ended[task] ?? SUCCEEDED);
  const left: number[] = [];
  const again = (task: number) => {
    vector[task] = PENDING;
    left.push(task);
  };
  for (const [task, code] of vector.entries()) if (RUN_AGAIN.includes(code)) again(task);
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    const mapped = version.tasks[task]?.instance?.of;
    if (mapped !== undefined && isEnded(vector[mapped] ?? 0)) again(mapped);
    for (const dependent of version.dependents[task] ?? []) {
      const { teardown } = version.tasks[dependent] ?? {};
      const around = teardown ? [dependent, ...teardown.setups] : [];
      for (const each of around) if (isEnded(vector[each] ?? 0)) again(each);
      if (vector[dependent] === SKIPPED) again(dependent);
    }
  }
  return vector;
}
