/** What a backfill would do: its pieces of work in order, and which of them have runs already. */
import type { BackfillPlanItem, BackfillRequest, BackfillRerun } from '../../domain/backfill.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { CronSchedule, Interval } from '../schedule/cron.ts';
import { findRunsOfDates } from '../store/backfill.ts';
import type { Tx } from '../store/connection.ts';
import { cutRange, readEvery } from './intervals.ts';
import { type Range, readRange } from './range.ts';

/** Of workflows without a schedule. */
const DAILY = '0 0 * * *';

export interface Planned {
  readonly range: Range;
  readonly notOver: number;
  readonly items: readonly BackfillPlanItem[];
}

/** @throws SignalboxError `invalid-time`, `invalid-request` */
export async function planBackfill(
  tx: Tx,
  workflow: { readonly name: string; readonly schedule: CronSchedule | null },
  request: BackfillRequest,
  now: EpochMs,
): Promise<Planned> {
  const { schedule } = workflow;
  if (schedule && (request.every !== undefined || request.timezone !== undefined)) {
    const path = request.every !== undefined ? '/every' : '/timezone';
    const message = `the workflow has a schedule (${schedule.cron} ${schedule.timezone}), whose intervals are taken`;
    throw new SignalboxError('invalid-request', message, [{ path, message }]);
  }
  const timezone = schedule?.timezone ?? request.timezone ?? 'UTC';
  const range = readRange(request.from, request.to, timezone);
  const by =
    request.every === undefined
      ? { schedule: schedule ?? { cron: DAILY, timezone } }
      : { everyMs: readEvery(request.every) };
  const { intervals, notOver } = cutRange(range, by, now);
  const ordered = request.order === 'newest-first' ? intervals.toReversed() : intervals;
  const items = await judge(tx, workflow.name, ordered, request.rerun ?? 'missing');
  return { range, notOver, items };
}

async function judge(
  tx: Tx,
  workflow: string,
  intervals: readonly Interval[],
  rerun: BackfillRerun,
): Promise<readonly BackfillPlanItem[]> {
  const dates = intervals.map(({ start }) => new Date(start).toISOString());
  const found = await findRunsOfDates(tx, workflow, dates);
  return intervals.map(({ start, end }, index): BackfillPlanItem => {
    const date = dates[index] ?? '';
    const run = found.get(start) ?? null;
    return {
      key: date,
      logicalDate: date,
      dataInterval: { start: date, end: new Date(end).toISOString() },
      partition: null,
      action: needsRun(run?.state ?? null, rerun) ? 'run' : 'skip',
      existing: run && { runId: run.runId, state: run.state === 'active' ? 'running' : run.state },
    };
  });
}

/** @param state of the run that there is; null for none, `active` for one under way */
export function needsRun(state: string | null, rerun: BackfillRerun): boolean {
  if (state === null) return true;
  if (state === 'active') return false;
  if (rerun === 'all') return true;
  return rerun === 'failed' && (state === 'failed' || state === 'cancelled');
}
