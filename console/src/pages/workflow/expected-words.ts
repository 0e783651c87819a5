/** Why a run that a schedule called for was not made, or did not go on, in words. */
import type { ExpectedRun } from '../../../../domain/schedule.ts';
import { formatCount, formatMinute } from '../../parts/format.ts';

const REASONS: Readonly<Record<NonNullable<ExpectedRun['reason']>, string>> = {
  overlap: 'an earlier run was still under way (overlap: skip)',
  'queue-full': 'too many earlier runs were waiting (overlap: queue)',
  paused: 'the workflow was paused',
  'catchup-limit': 'beyond the limit of catchup',
  'scheduler-down': 'nobody looked at schedules when it was due',
  'cancelled-by-overlap': 'cancelled for a later run (overlap: cancel-running)',
};

export function expectedWords({ reason, sinceLogicalDate, events, madeGood }: ExpectedRun): string {
  return [
    reason === null ? null : REASONS[reason],
    sinceLogicalDate === null ? null : `stands for all since ${formatMinute(sinceLogicalDate)}`,
    events === undefined ? null : formatCount(events, 'event'),
    madeGood ? 'made good by a backfill since' : null,
  ]
    .filter((part) => part !== null)
    .join(' · ');
}
