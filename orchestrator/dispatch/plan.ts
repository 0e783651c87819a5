/**
 * What the ends of some attempts mean for their run: which tasks become ready, which can never run, whether the
 * run has ended. Pure, so that every server that holds the run's lock decides the same.
 *
 * A lost attempt (its agent's lease ran out) costs no retry, but a task that takes its agents down with it must
 * not do so for ever: their number has a limit.
 */
import type { RunState } from '../../domain/run.ts';
import type { Version } from '../runs/versions.ts';
import {
  CANCELLED,
  FAILED,
  LIVE,
  LOST,
  PENDING,
  READY,
  RETRIED,
  SUCCEEDED,
  UPSTREAM_FAILED,
  WAITS_FOR_RETRY,
} from './task-codes.ts';

/** Attempts of a task that may be lost with their agents before the task counts as failed. */
export const MAX_LOST_ATTEMPTS = 10;
/** Share of a retry's delay that chance adds, so that what failed together does not come back together. */
const JITTER = 0.1;

/** The end of an attempt that held its task. */
export interface PlannedEnd {
  readonly task: number;
  /** `handed-back`: the agent stopped and gave it back unfinished. */
  readonly kind: 'succeeded' | 'failed' | 'cancelled' | 'lost' | 'handed-back';
  /** A failure that retries cannot mend. */
  readonly final: boolean;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
}

/** A task that is to get a live row. */
export interface NextTask {
  readonly task: number;
  readonly state: typeof READY | typeof WAITS_FOR_RETRY;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
  readonly delayMs: number;
}

export interface RunPlan {
  readonly vector: Uint8Array;
  /** For each end the code that its attempt is logged with. */
  readonly codes: readonly number[];
  readonly next: readonly NextTask[];
  /** Tasks that never ran and never will, since something before them failed. */
  readonly upstreamFailed: readonly number[];
  readonly retrying: boolean;
  /** How the run ended; null while it goes on. */
  readonly end: Extract<RunState, 'succeeded' | 'failed' | 'cancelled'> | null;
}

/**
 * Applies ends to a run.
 * @param vector how the run's tasks stand; is not changed
 * @param cancelling whether the run's cancellation was asked for: nothing starts any more
 * @param random 0 ≤ random() < 1, for the jitter
 */
export function planRun(
  version: Version,
  vector: Uint8Array,
  ends: readonly PlannedEnd[],
  cancelling: boolean,
  random: () => number,
): RunPlan {
  const tasks = Uint8Array.from(vector);
  const next: NextTask[] = [];
  const upstreamFailed: number[] = [];
  const candidates = new Set<number>();
  const codes = ends.map((end) => {
    const again = cancelling ? null : repeatOf(version, end, random);
    if (again !== null) {
      next.push(again);
      return end.kind === 'failed' ? RETRIED : LOST;
    }
    const state = endState(end, cancelling);
    tasks[end.task] = state;
    if (state === SUCCEEDED) {
      for (const dependent of version.dependents[end.task] ?? []) candidates.add(dependent);
    } else if (!cancelling) {
      failDownstream(version, tasks, end.task, upstreamFailed);
    }
    return end.kind === 'lost' || end.kind === 'handed-back' ? LOST : state;
  });
  for (const task of candidates) {
    if (tasks[task] !== PENDING || !mayStart(version, tasks, task)) continue;
    tasks[task] = LIVE;
    next.push({
      task,
      state: READY,
      attempt: 1,
      retriesLeft: version.tasks[task]?.retries ?? 0,
      lost: 0,
      delayMs: 0,
    });
  }
  return {
    vector: tasks,
    codes,
    next,
    upstreamFailed,
    retrying: next.some(({ state }) => state === WAITS_FOR_RETRY),
    end: endOf(tasks, cancelling),
  };
}

/** The attempt that follows, or null where there is none. */
function repeatOf(version: Version, end: PlannedEnd, random: () => number): NextTask | null {
  const common = { task: end.task, attempt: end.attempt + 1, retriesLeft: end.retriesLeft };
  if (end.kind === 'handed-back') {
    return { ...common, state: READY, lost: end.lost, delayMs: 0 };
  }
  if (end.kind === 'lost') {
    if (end.lost + 1 >= MAX_LOST_ATTEMPTS) return null;
    return { ...common, state: READY, lost: end.lost + 1, delayMs: 0 };
  }
  if (end.kind !== 'failed' || end.final || end.retriesLeft <= 0) return null;
  const task = version.tasks[end.task];
  if (!task) return null;
  const before = Math.max(0, task.retries - end.retriesLeft);
  const delayMs = Math.min(
    task.retryMaxDelayMs,
    task.retryDelayMs * task.retryBackoff ** before * (1 + JITTER * random()),
  );
  return {
    ...common,
    state: delayMs > 0 ? WAITS_FOR_RETRY : READY,
    retriesLeft: end.retriesLeft - 1,
    lost: end.lost,
    delayMs,
  };
}

function endState({ kind }: PlannedEnd, cancelling: boolean): number {
  if (kind === 'succeeded') return SUCCEEDED;
  if (kind === 'failed') return FAILED;
  if (kind === 'cancelled' || cancelling) return CANCELLED;
  return FAILED;
}

function mayStart(version: Version, tasks: Uint8Array, task: number): boolean {
  for (const upstream of version.tasks[task]?.after ?? []) {
    if (tasks[upstream] !== SUCCEEDED) return false;
  }
  return true;
}

function failDownstream(
  version: Version,
  tasks: Uint8Array,
  from: number,
  upstreamFailed: number[],
): void {
  const left = [from];
  for (let task = left.pop(); task !== undefined; task = left.pop()) {
    for (const dependent of version.dependents[task] ?? []) {
      if (tasks[dependent] !== PENDING) continue;
      tasks[dependent] = UPSTREAM_FAILED;
      upstreamFailed.push(dependent);
      left.push(dependent);
    }
  }
}

/** How a run with this vector has ended, or null. */
export function endOf(tasks: Uint8Array, cancelling: boolean): RunPlan['end'] {
  if (tasks.includes(LIVE) || tasks.includes(PENDING)) return null;
  if (cancelling) return 'cancelled';
  if (tasks.includes(FAILED) || tasks.includes(UPSTREAM_FAILED)) return 'failed';
  return tasks.includes(CANCELLED) ? 'cancelled' : 'succeeded';
}
