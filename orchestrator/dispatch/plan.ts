/**
 * What the ends of some attempts mean for their run: which tasks become ready, which can never run, whether the
 * run has ended. Pure, so that every server that holds the run's lock decides the same.
 *
 * A lost attempt (its agent's lease ran out) costs no retry, but a task that takes its agents down with it must
 * not do so for ever: their number has a limit. A run with a failed task has failed, also where a rule went on after
 * it; only `allowFailure` forgives. What tidies up runs even when the run is being cancelled.
 */
import type { RunError, RunState } from '../../domain/run.ts';
import type { Version } from '../runs/versions.ts';
import {
  findFailure,
  isAllSkipped,
  type NextTask,
  type PlannedBranch,
  Progress,
} from './progress.ts';
import {
  CANCELLED,
  FAILED,
  LIVE,
  LOST,
  PENDING,
  READY,
  RETRIED,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_FAILED,
  WAITS_FOR_RETRY,
} from './task-codes.ts';

/** Attempts of a task that may be lost with their agents before the task counts as failed. */
export const MAX_LOST_ATTEMPTS = 10;
/** Share of a retry's delay that chance adds unless told, so that what failed together does not come back together. */
const JITTER = 0.1;
const NO_ATTEMPTS: ReadonlyMap<number, number> = new Map();

const TAKEN_BACK: ReadonlySet<PlannedEnd['kind']> = new Set<PlannedEnd['kind']>([
  'lost',
  'handed-back',
  'undelivered',
]);

/** The end of an attempt that held its task. */
export interface PlannedEnd {
  readonly task: number;
  /** `handed-back`: the agent stopped and gave it back unfinished. `undelivered`: no agent ever heard of it. */
  readonly kind:
    | 'succeeded'
    | 'failed'
    | 'cancelled'
    | 'skipped'
    | 'lost'
    | 'handed-back'
    | 'undelivered';
  /** A failure that retries cannot mend. */
  readonly final: boolean;
  readonly attempt: number;
  readonly retriesLeft: number;
  readonly lost: number;
  /** Of a success: decides how many items tasks that map over it have. */
  readonly result?: unknown;
  /** Delay that the failure itself asked for. */
  readonly retryAfterMs?: number | null;
  readonly branch?: PlannedBranch | null;
}

export interface RunPlan {
  /** The graph of the run from now on: it has grown where a mapped task got its list. */
  readonly version: Version;
  readonly vector: Uint8Array;
  /** For each end the code that its attempt is logged with. */
  readonly codes: readonly number[];
  readonly next: readonly NextTask[];
  /** Tasks that never ran and never will, since something before them failed. */
  readonly upstreamFailed: readonly number[];
  /** Mapped tasks that failed since their list cannot be used. */
  readonly refused: readonly { readonly task: number; readonly error: RunError }[];
  readonly retrying: boolean;
  /** How the run ended; null while it goes on. */
  readonly end: Extract<RunState, 'succeeded' | 'failed' | 'cancelled' | 'skipped'> | null;
}

/**
 * Applies ends to a run.
 * @param vector how the run's tasks stand; is not changed
 * @param cancelling whether the run's cancellation was asked for: nothing starts any more but teardowns
 * @param random 0 ≤ random() < 1, for the jitter
 * @param lastAttempts of pending tasks that had attempts in an earlier try of the run
 */
export function planRun(
  version: Version,
  vector: Uint8Array,
  ends: readonly PlannedEnd[],
  cancelling: boolean,
  random: () => number,
  lastAttempts: ReadonlyMap<number, number> = NO_ATTEMPTS,
): RunPlan {
  const progress = new Progress(version, vector, cancelling, lastAttempts);
  const codes = ends.map((end) => applyEnd(progress, end, cancelling, random));
  for (const { task, branch } of ends) {
    if (branch && progress.codeOf(task) === SUCCEEDED) progress.branch(task, branch);
  }
  progress.settle();
  return planOf(progress, codes, cancelling);
}

/**
 * Cancels what has not started, but for what tidies up after what has.
 * @param waiting tasks whose live rows were taken away
 * @param teardownsToo whether nothing is tidied up any more
 */
export function planCancel(
  version: Version,
  vector: Uint8Array,
  waiting: Iterable<number>,
  teardownsToo: boolean,
  lastAttempts: ReadonlyMap<number, number> = NO_ATTEMPTS,
): RunPlan {
  const progress = new Progress(version, vector, true, lastAttempts);
  progress.cancel(waiting, teardownsToo);
  return planOf(progress, [], true);
}

/** Lets a run begin, or go on where it stands: each pending task is asked whether it may start. */
export function planBegin(
  version: Version,
  vector: Uint8Array,
  lastAttempts: ReadonlyMap<number, number> = NO_ATTEMPTS,
): RunPlan {
  const progress = new Progress(version, vector, false, lastAttempts);
  progress.settleAll();
  return planOf(progress, [], false);
}

/** @returns the code that the attempt is logged with */
function applyEnd(
  progress: Progress,
  end: PlannedEnd,
  cancelling: boolean,
  random: () => number,
): number {
  const { version } = progress;
  const mayRepeat = !cancelling || version.tasks[end.task]?.teardown !== undefined;
  const again = mayRepeat ? repeatOf(version, end, random) : null;
  if (again !== null) {
    progress.next.push(again);
    return end.kind === 'failed' ? RETRIED : LOST;
  }
  const code = endState(end, cancelling);
  progress.end(end.task, code);
  if (code === SUCCEEDED) progress.listed(end.task, end.result, end.attempt);
  return TAKEN_BACK.has(end.kind) ? LOST : code;
}

function planOf(progress: Progress, codes: readonly number[], cancelling: boolean): RunPlan {
  const { version, vector, next, unrun, refused } = progress;
  return {
    ...{ version, vector, codes, next, refused },
    upstreamFailed: unrun.filter((task) => vector[task] === UPSTREAM_FAILED),
    retrying: next.some(({ state }) => state === WAITS_FOR_RETRY),
    end: endOf(version, vector, cancelling),
  };
}

/** The attempt that follows, or null where there is none. */
function repeatOf(version: Version, end: PlannedEnd, random: () => number): NextTask | null {
  const common = { task: end.task, attempt: end.attempt + 1, retriesLeft: end.retriesLeft };
  if (end.kind === 'undelivered') {
    return { ...common, attempt: end.attempt, state: READY, lost: end.lost, delayMs: 0 };
  }
  if (end.kind === 'handed-back') {
    return { ...common, state: READY, lost: end.lost, delayMs: 0 };
  }
  if (end.kind === 'lost') {
    if (end.lost + 1 >= MAX_LOST_ATTEMPTS) return null;
    return { ...common, state: READY, lost: end.lost + 1, delayMs: 0 };
  }
  if (end.kind !== 'failed' || end.final || end.retriesLeft <= 0) return null;
  const delayMs = end.retryAfterMs ?? retryDelayOf(version, end, random);
  return {
    ...common,
    state: delayMs > 0 ? WAITS_FOR_RETRY : READY,
    retriesLeft: end.retriesLeft - 1,
    lost: end.lost,
    delayMs,
  };
}

function retryDelayOf(version: Version, end: PlannedEnd, random: () => number): number {
  const task = version.tasks[end.task];
  if (!task) return 0;
  const before = Math.max(0, task.retries - end.retriesLeft);
  const listed = task.retryDelaysMs?.[Math.min(before, task.retryDelaysMs.length - 1)];
  const delayMs = listed ?? task.retryDelayMs * task.retryBackoff ** before;
  const jitter = 1 + (task.retryJitter ?? JITTER) * random();
  return Math.min(task.retryMaxDelayMs, delayMs * jitter);
}

function endState({ kind }: PlannedEnd, cancelling: boolean): number {
  if (kind === 'succeeded') return SUCCEEDED;
  if (kind === 'failed') return FAILED;
  if (kind === 'cancelled' || cancelling) return CANCELLED;
  return kind === 'skipped' ? SKIPPED : FAILED;
}

/** How a run that stands like this has ended, or null. */
function endOf(version: Version, vector: Uint8Array, cancelling: boolean): RunPlan['end'] {
  if (vector.includes(LIVE) || vector.includes(PENDING)) return null;
  if (cancelling) return 'cancelled';
  if (findFailure(version, vector) >= 0) return 'failed';
  if (vector.includes(CANCELLED)) return 'cancelled';
  return isAllSkipped(version, vector) ? 'skipped' : 'succeeded';
}
