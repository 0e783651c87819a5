/** The rows of new runs' deadlines. Pure; nothing for runs of workflows without any, as nearly all are. */
import type { RunTrigger } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { NewRunDraft } from '../runs/make-live.ts';
import type { NewDeadline } from '../store/deadline.ts';
import { type DueBase, isExpected, momentOf } from './moment.ts';

export function newDeadlines(drafts: readonly NewRunDraft[], now: EpochMs): NewDeadline[] {
  const rows: NewDeadline[] = [];
  for (const { id, request, version, state } of drafts) {
    if (version.deadlines.length === 0 || state !== 'active') continue;
    const base = baseOf(request, now);
    for (const [place, deadline] of version.deadlines.entries()) {
      rows.push({
        ...{ runId: id, place, workflow: request.workflow },
        dueAt: momentOf(deadline, base),
        // Where it was due before anybody declared a deadline, it counts from its making.
        elseDueAt: isExpected(deadline)
          ? momentOf(deadline, { scheduledAt: now, logicalDate: now, createdAt: now })
          : null,
      });
    }
  }
  return rows;
}

/** Dates that are made up for on purpose are not late: they count from their making. */
function baseOf(
  request: {
    readonly trigger: RunTrigger;
    readonly logicalDate?: EpochMs | null;
    readonly dataInterval?: { readonly end: string } | null;
  },
  now: EpochMs,
): DueBase {
  const { trigger, dataInterval, logicalDate = null } = request;
  if (trigger === 'backfill') return { scheduledAt: now, logicalDate: now, createdAt: now };
  const isDue = trigger === 'schedule' && dataInterval;
  return {
    scheduledAt: isDue ? Date.parse(dataInterval.end) : now,
    logicalDate,
    createdAt: now,
  };
}
