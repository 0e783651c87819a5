/** What schedules call for: what comes next, what became of what was due, and what is overdue. */
import { listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import {
  EXPECTED_OUTCOMES,
  type ExpectedOutcome,
  type SchedulePreview,
  type UpcomingRun,
  type WorkflowSchedule,
} from '../../domain/schedule.ts';
import { type Clock, type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { Reconciler, ScheduleService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { deleteExpected, listExpected } from '../store/expected-run.ts';
import { deleteKept } from '../store/retention.ts';
import { findSchedule, readOverdue, type ScheduleRow } from '../store/schedule.ts';
import { dueAt, firstInterval, type Interval, intervalFrom } from './cron.ts';
import { zoneOf } from './zone.ts';

const MAX_UPCOMING = 1_000;
const MAX_OVERDUE = 1_000;
const RETENTION_EVERY_MS = 3_600_000;
const DELETED_AT_ONCE = 5_000;

export function createScheduleService(db: Db, clock: Clock): ScheduleService {
  return {
    async preview(workflow, count) {
      if (!Number.isInteger(count) || count < 1 || count > MAX_UPCOMING) {
        throw new SignalboxError('invalid-request', `count is 1 to ${MAX_UPCOMING}`);
      }
      const row = await findSchedule(db, workflow);
      if (!row) throw new SignalboxError('not-found', `workflow ${workflow}`);
      return toPreview(row, clock.now(), count);
    },
    async expectedRuns(query) {
      const { after, limit } = readPageQuery(query);
      const rows = await listExpected(db, {
        workflow: query.workflow ?? null,
        outcome: readOutcome(query.outcome),
        after: after === null ? null : readPlace(after),
        limit: limit + 1,
        prefix: listPrefix(query.environment),
      });
      return toPage(
        rows,
        limit,
        (row) => `${row.logicalDate} ${row.workflow}`,
        (row) => row,
      );
    },
    async overdue(graceMs, environment) {
      const before = new Date(clock.now() - graceMs);
      const rows = await readOverdue(db, before, MAX_OVERDUE, listPrefix(environment));
      return rows.map((row) => ({
        workflow: row.workflow,
        logicalDate: row.logical_date.toISOString(),
        dueAt: row.due_at.toISOString(),
      }));
    },
  };
}

function readOutcome(text: string | undefined): ExpectedOutcome | null {
  if (text === undefined) return null;
  const outcome = EXPECTED_OUTCOMES.find((known) => known === text);
  if (outcome) return outcome;
  throw new SignalboxError('invalid-request', `outcome is one of ${EXPECTED_OUTCOMES.join(', ')}`);
}

function readPlace(text: string): { logicalDate: string; workflow: string } {
  const space = text.indexOf(' ');
  const logicalDate = text.slice(0, space);
  if (space < 0 || Number.isNaN(Date.parse(logicalDate)))
    throw new SignalboxError('invalid-cursor');
  return { logicalDate, workflow: text.slice(space + 1) };
}

function toPreview(row: ScheduleRow, now: EpochMs, count: number): SchedulePreview {
  const { name, schedule, paused } = row;
  return {
    ...{ workflow: name, paused, schedule },
    nextRunAt: toRfc3339(row.next_run_at),
    upcoming: schedule === null ? [] : upcoming(row, schedule, now, count),
  };
}

/** From the next run on that is stored; of a paused workflow, from now on. */
function upcoming(
  row: ScheduleRow,
  schedule: WorkflowSchedule,
  now: EpochMs,
  count: number,
): UpcomingRun[] {
  const found: UpcomingRun[] = [];
  let next = firstUpcoming(row, schedule, now);
  while (next !== null && found.length < count) {
    const { start, end }: Interval = next;
    const dataInterval = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
    found.push({
      logicalDate: dataInterval.start,
      dataInterval,
      dueAt: new Date(dueAt(row.name, schedule, next)).toISOString(),
      local: localText(schedule.timezone, end),
    });
    next = intervalFrom(schedule, end);
  }
  return found;
}

function firstUpcoming(
  row: ScheduleRow,
  schedule: WorkflowSchedule,
  now: EpochMs,
): Interval | null {
  const start = row.next_logical_date?.getTime() ?? null;
  const end = (row.next_interval_end ?? row.next_run_at)?.getTime() ?? null;
  if (start === null || end === null) return null;
  return row.paused && end < now
    ? firstInterval({ ...schedule, catchup: false }, now)
    : { start, end };
}

/** A moment on the clocks of a timezone: `2026-03-29 03:30:00 +02:00`, without seconds where there are none. */
function localText(timezone: string, at: EpochMs): string {
  const { offsetMs } = zoneOf(timezone).segmentAt(at);
  const text = new Date(at + offsetMs).toISOString();
  const clock = text.slice(11, text.endsWith(':00.000Z') ? 16 : 19);
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const two = (number: number) => String(number).padStart(2, '0');
  const offset = `${offsetMs < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${text.slice(0, 10)} ${clock} ${offset}`;
}

/** Takes away what is known of runs that were due long ago. */
export function createExpectedRetention(db: Db, clock: Clock): Reconciler {
  return {
    name: 'expected-run-retention',
    everyMs: RETENTION_EVERY_MS,
    async run() {
      await deleteKept(db, 'expected-runs', DELETED_AT_ONCE, (keepMs) =>
        deleteExpected(db, new Date(clock.now() - keepMs), DELETED_AT_ONCE),
      );
    },
  };
}
