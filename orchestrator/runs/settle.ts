/**
 * From how the tasks of a run were made to stand to how they stand by the graph's own rules: what starts, what never
 * can, whether the run has ended.
 */
import { planBegin, planCancel, type RunPlan } from '../dispatch/plan.ts';
import { isEnded, LIVE, PENDING } from '../dispatch/task-codes.ts';
import type { NewLiveTask } from '../store/task-live.ts';
import { expansionOf } from './expansion.ts';
import type { RunInfo } from './run-info.ts';
import type { Standing } from './standing.ts';
import { readyTask } from './trigger.ts';
import type { Version } from './versions.ts';

/**
 * @param vector pending for what is to run (again); is not changed
 * @param scheduled whether nothing starts before there is room for the run
 */
export function settle(
  { version, lastAttempts, cancelReason }: Standing,
  vector: Uint8Array,
  scheduled: boolean,
): Pick<RunPlan, 'version' | 'vector' | 'next' | 'end' | 'refused'> {
  if (cancelReason !== null) return planCancel(version, vector, [], false, lastAttempts);
  const plan = planBegin(version, vector, lastAttempts);
  if (!scheduled || plan.end !== null) return plan;
  return { version, vector, next: [], end: null, refused: [] };
}

type LiveRun = Pick<RunInfo, 'runId' | 'priority' | 'parameters'>;

/** Lets a run begin, or go on where it stands. @returns rows of what starts; `grown` where mapped tasks got lists */
export function beginRun(
  run: Omit<LiveRun, 'version'> & { readonly version: Version },
  vector: Uint8Array,
  lastAttempts: ReadonlyMap<number, number>,
): Pick<RunPlan, 'version' | 'vector' | 'end'> & { tasks: NewLiveTask[]; grown: boolean } {
  const plan = planBegin(run.version, vector, lastAttempts);
  const tasks = liveRows(run, plan.version, plan.next);
  return { ...plan, tasks, grown: plan.version !== run.version };
}

/** Rows of tasks that start. */
export function liveRows(
  { runId, priority, parameters }: LiveRun,
  version: Version,
  next: RunPlan['next'],
): NewLiveTask[] {
  return next.map((one) => ({
    ...readyTask(runId, version, one.task, priority, parameters),
    ...one,
  }));
}

/**
 * Has mapped tasks look again at their instances where these were changed: they start those that are pending, and end
 * with the last one.
 * @returns the mapped tasks
 */
export function regather(
  version: Version,
  vector: Uint8Array,
  changed: Iterable<number>,
): number[] {
  const mapped = new Set<number>();
  for (const task of changed) {
    const { instance } = version.tasks[task] ?? {};
    if (instance) mapped.add(instance.of);
  }
  return [...mapped].filter((task) => {
    const instances = instancesOf(version, task);
    const running = instances.some((each) => vector[each] === LIVE);
    // One that runs brings the others after it, within the limit.
    const limited = (version.tasks[task]?.map?.concurrency ?? null) !== null;
    if (vector[task] === LIVE && running && (limited || !somePending(vector, instances))) {
      return false;
    }
    vector[task] = PENDING;
    return true;
  });
}

function somePending(vector: Uint8Array, tasks: readonly number[]): boolean {
  return tasks.some((task) => !isEnded(vector[task] ?? PENDING) && vector[task] !== LIVE);
}

/** Indexes of a mapped task's instances; none for other tasks, and before its list is there. */
export function instancesOf(version: Version, task: number): number[] {
  const [, first, count] = expansionOf(version, task) ?? [task, -1, 0];
  return first < 0 ? [] : Array.from({ length: count }, (_, index) => first + index);
}
