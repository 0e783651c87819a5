/**
 * What of a schedule is due. Without catchup it is the latest interval only, however long nobody looked; with it,
 * each interval since, as far as its limits let it. What is passed over is told as well, newest first and a limited
 * number of them: one row stands for those before.
 */
import type { ExpectedReason, WorkflowSchedule } from '../../domain/schedule.ts';
import type { EpochMs } from '../../domain/time.ts';
import { dueAt, type Interval, intervalBefore, intervalFrom } from './cron.ts';

/** What is due of a schedule, what was passed over, and what comes next. */
export interface Due {
  /** In order of time. */
  readonly intervals: readonly Interval[];
  readonly passedOver: readonly PassedOver[];
  readonly next: Interval | null;
}

export interface PassedOver extends Interval {
  readonly reason: Extract<ExpectedReason, 'scheduler-down' | 'catchup-limit'>;
  /** Logical date of the first of those that this one stands for; null where it is for itself alone. */
  readonly since: EpochMs | null;
}

export interface DueQuestion {
  readonly workflow: string;
  readonly schedule: WorkflowSchedule;
  /** The first interval that nobody has decided about. */
  readonly from: Interval;
  readonly now: EpochMs;
  /** Intervals at most; what is more is due at once again. */
  readonly limit: number;
  /** Rows for what is passed over, at most. */
  readonly passedOverLimit: number;
}

export function dueIntervals(question: DueQuestion): Due {
  const { workflow, schedule, from, now, limit } = question;
  if (dueAt(workflow, schedule, from) > now) return { intervals: [], passedOver: [], next: from };
  const first = firstToRun(question);
  const passedOver = first.start > from.start ? listPassedOver(question, first) : [];
  const intervals: Interval[] = [];
  let next: Interval | null = first;
  while (next !== null && intervals.length < limit && dueAt(workflow, schedule, next) <= now) {
    intervals.push(next);
    next = intervalFrom(schedule, next.end);
  }
  return { intervals, passedOver, next };
}

/** The first interval from `from` on that is not passed over. */
function firstToRun({ workflow, schedule, from, now }: DueQuestion): Interval {
  const { catchup, catchupAtMost, catchupWithinMs } = schedule;
  const atMost = catchup ? (catchupAtMost ?? Number.POSITIVE_INFINITY) : 1;
  const earliestEnd = catchup && catchupWithinMs !== undefined ? now - catchupWithinMs : null;
  if (atMost === Number.POSITIVE_INFINITY && earliestEnd === null) return from;
  let at = latestDue(workflow, schedule, from, now);
  for (let count = 1; count < atMost && at.start > from.start; count += 1) {
    const before = intervalBefore(schedule, at.end);
    if (before === null || before.start < from.start) break;
    if (earliestEnd !== null && before.end < earliestEnd) break;
    at = before;
  }
  return at.start <= from.start ? from : at;
}

function latestDue(
  workflow: string,
  schedule: WorkflowSchedule,
  from: Interval,
  now: EpochMs,
): Interval {
  // An instant at `now` itself is due too.
  let at = intervalBefore(schedule, now + 1);
  while (at !== null && at.start > from.start && dueAt(workflow, schedule, at) > now) {
    at = intervalBefore(schedule, at.end);
  }
  return at === null || at.start <= from.start ? from : at;
}

/** How soon it is looked again whether the run before has ended, and how short an interval may be. */
const CONTINUOUS_MS = 1_000;

/**
 * What is due of a schedule that runs one run after the other: the time since the run before was made, once that one
 * has ended.
 */
export function dueContinuously(
  from: Interval,
  now: EpochMs,
  goesOn: boolean,
  until: EpochMs,
): Due {
  const start = Math.min(from.start, now);
  if (goesOn || now <= start) {
    const next = { start, end: now + CONTINUOUS_MS };
    return { intervals: [], passedOver: [], next };
  }
  const next = now > until ? null : { start: now, end: now + CONTINUOUS_MS };
  return { intervals: [{ start, end: now }], passedOver: [], next };
}

function listPassedOver(question: DueQuestion, first: Interval): PassedOver[] {
  const { schedule, from, passedOverLimit } = question;
  const reason = schedule.catchup ? 'catchup-limit' : 'scheduler-down';
  const listed: PassedOver[] = [];
  let at = intervalBefore(schedule, first.end);
  while (at !== null && at.start > from.start && listed.length < passedOverLimit - 1) {
    listed.push({ ...at, reason, since: null });
    at = intervalBefore(schedule, at.end);
  }
  const last = at !== null && at.start > from.start ? at : from;
  listed.push({ ...last, reason, since: last === from ? null : from.start });
  return listed;
}
