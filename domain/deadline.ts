/**
 * Deadlines of runs and tasks, and what is kept of one that was missed. A deadline is counted from a moment that is
 * known before anything runs, or from one that comes while it runs; it is missed whether the work is slow, waits for
 * something, or never came.
 */

/**
 * What a deadline is counted from.
 *
 * - `scheduled`: the moment at which the run was due (the end of its data interval); of a run without a schedule, the
 *   moment at which it was made.
 * - `queued`: a run: the moment at which it was made. A task: the moment from which it could start.
 * - `started`: the moment at which the run, or the task's present attempt, started.
 * - `logical-date`: the run's logical date.
 */
export const DEADLINE_STARTS = ['scheduled', 'queued', 'started', 'logical-date'] as const;
export type DeadlineStart = (typeof DEADLINE_STARTS)[number];

/** What happens to what is late, beside that it is recorded. */
export const MISS_ACTIONS = ['record', 'fail', 'cancel'] as const;
export type MissAction = (typeof MISS_ACTIONS)[number];

/** A deadline as it is registered: a span after a moment, or a time of the day. */
export interface DeadlineDefinition {
  /** `sla`, `deadline`, `deadline-2`, …, `max-runtime`. */
  readonly name: string;
  /** The task that it is of; absent for the whole run. */
  readonly task?: string;
  readonly afterMs?: number;
  readonly from?: DeadlineStart;
  /** Time of the day (`06:00`): the first such moment after the run was due. */
  readonly at?: string;
  /** IANA name; goes with `at`. */
  readonly timezone?: string;
  readonly onMiss: MissAction;
}

/** Why something was late, the first that applies. */
export const LATE_REASONS = [
  // There was no run: nobody looked at the schedule, or its workflow was paused, or it was passed over.
  'scheduler-down',
  'workflow-paused',
  'passed-over',
  // There was a run, and it could not go on.
  'paused',
  'max-active-runs',
  'depends-on-past',
  'concurrency-key',
  'run-limit',
  'task-limit',
  'workflow-limit',
  'pool',
  'queue-paused',
  'queue-limit',
  'queue-rate',
  'no-agent',
  'no-agent-with-labels',
  'no-definition',
  'no-slot',
  'upstream',
  'retrying',
  'waiting',
  // It goes on, and is slow; or it had ended when its deadline was looked at, and too late.
  'running',
  'ended-late',
] as const;
export type LateReason = (typeof LATE_REASONS)[number];

/** What held it up: the pool, the task before it, the run that is paused. */
export interface LateBlocker {
  readonly kind: 'key' | 'labels' | 'pool' | 'queue' | 'run' | 'task' | 'workflow';
  readonly name: string;
  readonly detail: string;
}

/** A deadline of a run, or of a run that was expected and never came. */
export interface Deadline {
  /** `pending`: its moment is to come, or depends on what has not begun. */
  readonly state: 'pending' | 'missed';
  readonly id: string;
  readonly workflow: string;
  /** Null where no run came. */
  readonly runId: string | null;
  /** Null for the whole run. */
  readonly taskKey: string | null;
  readonly name: string;
  readonly logicalDate: string | null;
  readonly dueAt: string;
  readonly onMiss: MissAction;
  readonly missed: DeadlineMiss | null;
}

export interface DeadlineMiss {
  readonly noticedAt: string;
  readonly reason: LateReason;
  readonly blockers: readonly LateBlocker[];
  /** One sentence for people. */
  readonly detail: string;
  /** When it ended after all; null where it has not. */
  readonly endedAt: string | null;
  readonly endState: string | null;
  /** When it was failed or cancelled for it, and why that could not be done. */
  readonly actedAt: string | null;
  readonly actionError: string | null;
}
