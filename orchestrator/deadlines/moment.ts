/** The moments of deadlines: what each is counted from, and when it is over. Pure. */
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import type { EpochMs } from '../../domain/time.ts';
import { nextInstant } from '../schedule/cron.ts';

/** What is known of a run before it begins. */
export interface DueBase {
  /** When it was due, or was made. */
  readonly scheduledAt: EpochMs;
  readonly logicalDate: EpochMs | null;
  readonly createdAt: EpochMs;
}

/**
 * The moment of a deadline, or the earliest that it can be where that depends on what has not begun: whoever looks
 * then finds either its moment, or that it has still not begun and its moment is a whole span away.
 */
export function momentOf(deadline: DeadlineDefinition, base: DueBase): EpochMs {
  const { afterMs = 0, at, from = 'scheduled', timezone = 'UTC' } = deadline;
  if (at !== undefined) {
    const [hour = '0', minute = '0'] = at.split(':');
    const cron = `${Number(minute)} ${Number(hour)} * * *`;
    return nextInstant({ cron, timezone }, base.scheduledAt) ?? base.scheduledAt;
  }
  if (from === 'logical-date') return (base.logicalDate ?? base.createdAt) + afterMs;
  return (from === 'scheduled' ? base.scheduledAt : base.createdAt) + afterMs;
}

/** Whether its moment depends on what the run, or a task of it, does. */
export function isRelative({ at, from, task }: DeadlineDefinition): boolean {
  return at === undefined && (from === 'started' || (from === 'queued' && task !== undefined));
}

/** Whether it is known of a date before there is a run of it. */
export function isExpected({ at, from = 'scheduled' }: DeadlineDefinition): boolean {
  return at !== undefined || from === 'scheduled' || from === 'logical-date';
}
