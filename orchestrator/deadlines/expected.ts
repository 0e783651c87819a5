/**
 * Dates of schedules whose runs never came. For each deadline that is known before there is a run, one row looks at one
 * date after the other, when its run had to be over: where there is a run, its own deadline decides; where there is none,
 * that is the miss, whatever the reason (nobody looked at the schedule, the workflow is paused, the date was passed over).
 */
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { intervalFrom } from '../schedule/cron.ts';
import type { Tx } from '../store/connection.ts';
import { claimExpected, type ExpectedDueRow, setWatched } from '../store/deadline.ts';
import type { NewMiss } from '../store/deadline-miss.ts';
import { expectedKey, recordMisses, sentence } from './record.ts';
import { watchOf } from './register.ts';
import type { Why } from './why.ts';

const AT_ONCE = 100;

/** @returns whether more may be due */
export async function lookAtExpected(tx: Tx, infos: RunInfos, now: EpochMs): Promise<boolean> {
  const rows = await claimExpected(tx, new Date(now), AT_ONCE);
  if (rows.length === 0) return false;
  const missing = rows.filter(({ came }) => !came);
  await recordMisses(tx, infos, missing.map(missOf), now);
  const next = rows.map(({ workflow, place, definition, schedule, interval_end }) => ({
    ...{ workflow, place },
    ...watchOf(definition, schedule, intervalFrom(schedule, interval_end.getTime())),
  }));
  await setWatched(tx, next);
  return (
    rows.length === AT_ONCE ||
    next.some(({ next_due_at: at }) => at !== null && Date.parse(at) <= now)
  );
}

function missOf(row: ExpectedDueRow): NewMiss {
  const { workflow, definition, interval_start, next_due_at } = row;
  const why = whyMissing(row);
  const dueAt = next_due_at.getTime();
  const of = {
    workflow,
    logical_date: toRfc3339(interval_start),
    name: definition.name,
    task_key: definition.task ?? null,
  };
  return {
    ...of,
    key: expectedKey(of),
    ...{ run_id: null, task: null },
    due_at: next_due_at.toISOString(),
    ...why,
    detail: sentence(definition.task ?? workflow, definition, dueAt, why),
    // There is nothing yet that could be failed or cancelled.
    on_miss: 'record',
    ...{ ended_at: null, end_state: null },
  };
}

function whyMissing(row: ExpectedDueRow): Why {
  const { workflow, paused, paused_at, outcome, reason, next_run_at } = row;
  const blocker = (detail: string) => [{ kind: 'workflow' as const, name: workflow, detail }];
  if (paused || reason === 'paused') {
    const since = paused_at === null ? '' : ` since ${paused_at.toISOString()}`;
    return { reason: 'workflow-paused', blockers: blocker(`it is paused${since}`) };
  }
  if (outcome !== null && reason !== null && reason !== 'scheduler-down') {
    return { reason: 'passed-over', blockers: blocker(`${outcome}: ${reason}`) };
  }
  const since = next_run_at === null ? '' : ` since ${next_run_at.toISOString()}`;
  return {
    reason: 'scheduler-down',
    blockers: blocker(`nobody has made what its schedule called for${since}`),
  };
}
