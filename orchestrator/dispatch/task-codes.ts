/** The numbers that stand for states in `run_live.tasks`, `task_log.state` and `task_live.state`. */
import type { TaskState } from '../../domain/run.ts';

/** How a task of a run stands: a byte of the vector. */
export const PENDING = 0;
/** It has a row in task_live. */
export const LIVE = 1;
export const SUCCEEDED = 2;
export const FAILED = 3;
export const CANCELLED = 4;
export const SKIPPED = 5;
export const UPSTREAM_FAILED = 6;
/** A branch went another way, or a short circuit ended the run's way here: it stays skipped when the run is retried. */
export const NOT_CHOSEN = 9;

/** How an attempt ended, beside the above. */
export const LOST = 7;
/** It failed, and another attempt follows. */
export const RETRIED = 8;

/** A row of task_live. */
export const READY = 1;
export const RUNNING = 2;
export const WAITS_FOR_RETRY = 3;
/** A flow that waits without an agent, until `ready_at` or until it is woken. */
export const SUSPENDED = 4;
/** It waits for itself in the scheduled run before (`dependsOnPast`). */
export const WAITS_FOR_PAST = 5;
/** It waits at a gate (`limits/gates.ts`); the database moves it here and on. */
export const GATED = 6;
/** Ready for an agent that has the labels it asks for. */
export const READY_FOR_LABELS = 7;
/** Added to the state of a row that does not run while its run is paused. */
const PAUSED = 10;

/** The state of a row that is to wait until its run is resumed. */
export function pausedState(state: number): number {
  return state === RUNNING || state >= PAUSED ? state : state + PAUSED;
}

const NAMES: Readonly<Record<number, TaskState>> = {
  [PENDING]: 'pending',
  [LIVE]: 'running',
  [SUCCEEDED]: 'succeeded',
  [FAILED]: 'failed',
  [CANCELLED]: 'cancelled',
  [SKIPPED]: 'skipped',
  [UPSTREAM_FAILED]: 'upstream-failed',
  [NOT_CHOSEN]: 'skipped',
  [LOST]: 'lost',
  [RETRIED]: 'failed',
};

/** Whether a task with this code of the vector is over. */
export function isEnded(code: number): boolean {
  return code > LIVE;
}

/** Whether those that come after count it as failed. */
export function isFailure(code: number): boolean {
  return code === FAILED || code === CANCELLED || code === UPSTREAM_FAILED;
}

export function isSkip(code: number): boolean {
  return code === SKIPPED || code === NOT_CHOSEN;
}

/** The word for a code of the vector or of the log. */
export function taskStateOf(code: number): TaskState {
  return NAMES[code] ?? 'pending';
}

const LIVE_NAMES: Readonly<Record<number, TaskState>> = {
  [READY]: 'ready',
  [RUNNING]: 'running',
  [WAITS_FOR_RETRY]: 'retrying',
  [SUSPENDED]: 'waiting',
  [WAITS_FOR_PAST]: 'waiting',
};

/** The word for a code of task_live. */
export function liveStateOf(code: number): TaskState {
  return LIVE_NAMES[code % PAUSED] ?? 'ready';
}
