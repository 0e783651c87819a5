/**
 * Which of the due intervals of a workflow get a run, while earlier scheduled runs of it may not have ended. Pure;
 * what is under way was read in the transaction that makes the runs.
 */
import type { ExpectedReason, WorkflowSchedule } from '../../domain/schedule.ts';
import type { Unended } from '../store/run-overlap.ts';
import type { Interval } from './cron.ts';

export interface OverlapDecision {
  /** In order of time. */
  readonly run: readonly Interval[];
  readonly skip: readonly (Interval & {
    readonly reason: Extract<ExpectedReason, 'overlap' | 'queue-full'>;
    readonly message: string;
  })[];
  /** Runs that the last one of `run` replaces. */
  readonly supersede: readonly string[];
}

const NOTHING: Unended = { active: 0, scheduled: [] };

/** Runs at a time that a schedule means where the workflow does not say: one, as soon as a policy is named. */
export function maxActiveOf(
  maxActiveRuns: number | null,
  schedule: WorkflowSchedule | null,
): number | null {
  const policy = schedule?.overlap?.policy;
  return maxActiveRuns ?? (policy === 'queue' || policy === 'cancel-running' ? 1 : null);
}

/** Whether a decision needs to know what is under way. */
export function needsUnended({ overlap, continuous }: WorkflowSchedule): boolean {
  if (continuous) return true;
  if (overlap === undefined || overlap.policy === 'allow') return false;
  return overlap.policy !== 'queue' || overlap.atMost !== undefined;
}

export function decideOverlap(
  schedule: WorkflowSchedule,
  maxActiveRuns: number | null,
  due: readonly Interval[],
  unended: Unended = NOTHING,
): OverlapDecision {
  if (due.length === 0 || schedule.continuous || !needsUnended(schedule))
    return { run: due, skip: [], supersede: [] };
  const limit = maxActiveRuns ?? 1;
  if (schedule.overlap?.policy === 'skip') return skipBeyond(limit, due, unended);
  if (schedule.overlap?.policy === 'cancel-running') return replace(due, unended);
  return queueAtMost(schedule.overlap?.atMost ?? 0, limit, due, unended);
}

function skipBeyond(limit: number, due: readonly Interval[], unended: Unended): OverlapDecision {
  const room = Math.max(0, limit - unended.scheduled.length);
  const [going] = unended.scheduled;
  const message =
    going === undefined
      ? 'an earlier interval of the schedule, due at the same moment, runs'
      : `run ${going.runId} of the schedule had not ended`;
  return {
    run: due.slice(0, room),
    skip: due.slice(room).map((one) => ({ ...one, reason: 'overlap', message })),
    supersede: [],
  };
}

function replace(due: readonly Interval[], unended: Unended): OverlapDecision {
  const message = 'a later interval of the schedule was due at the same moment';
  return {
    run: due.slice(-1),
    skip: due.slice(0, -1).map((one) => ({ ...one, reason: 'overlap', message })),
    supersede: unended.scheduled.map(({ runId }) => runId),
  };
}

function queueAtMost(
  atMost: number,
  limit: number,
  due: readonly Interval[],
  unended: Unended,
): OverlapDecision {
  const waiting = unended.scheduled.filter(({ waits }) => waits).length;
  const room = Math.max(0, limit - unended.active) + Math.max(0, atMost - waiting);
  const message = `${atMost} run${atMost === 1 ? '' : 's'} of the schedule waited already`;
  return {
    run: due.slice(0, room),
    skip: due.slice(room).map((one) => ({ ...one, reason: 'queue-full', message })),
    supersede: [],
  };
}
