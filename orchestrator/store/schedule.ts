/** Due schedules: claimed by rows, so that any number of servers may look at once. */
import type { WorkflowSchedule } from '../../domain/schedule.ts';
import type { Tx } from './connection.ts';

export interface DueRow {
  readonly name: string;
  readonly schedule: WorkflowSchedule;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly max_active_runs: number | null;
  readonly version_id: string;
  readonly next_run_at: Date;
  readonly next_logical_date: Date;
  /** Null where it is `next_run_at` itself. */
  readonly next_interval_end: Date | null;
  readonly paused_at: Date | null;
  readonly unpaused_at: Date | null;
}

const DUE_COLUMNS = `name, schedule, parameters, max_active_runs, version_id, next_run_at, next_logical_date,
  next_interval_end, paused_at, unpaused_at`;

/** Locks what is due; what another server has locked is its business. */
export function claimDue(tx: Tx, now: Date, limit: number): Promise<DueRow[]> {
  return tx.query<DueRow>(
    `SELECT ${DUE_COLUMNS} FROM signalbox.workflow
     WHERE next_run_at <= $1 AND NOT paused
     ORDER BY next_run_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [now, limit],
  );
}

/** Locks schedules whose next run is later than `until`, for a look whether that is right. */
export function claimLaterThan(
  tx: Tx,
  until: Date,
  after: string,
  limit: number,
): Promise<DueRow[]> {
  return tx.query<DueRow>(
    `SELECT ${DUE_COLUMNS} FROM signalbox.workflow
     WHERE next_run_at > $1 AND name > $2
     ORDER BY name LIMIT $3 FOR UPDATE SKIP LOCKED`,
    [until, after, limit],
  );
}

export interface NextRun {
  readonly name: string;
  /** RFC 3339; null where no instant is left. */
  readonly next_run_at: string | null;
  readonly next_logical_date: string | null;
  readonly next_interval_end: string | null;
}

export async function setNextRuns(tx: Tx, next: readonly NextRun[]): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.workflow w
     SET next_run_at = n.next_run_at, next_logical_date = n.next_logical_date,
         next_interval_end = n.next_interval_end
     FROM jsonb_to_recordset($1::jsonb) AS n (
       name text, next_run_at timestamptz, next_logical_date timestamptz, next_interval_end timestamptz)
     WHERE w.name = n.name`,
    [JSON.stringify(next)],
  );
}

/** The earliest moment at which something is due; null where nothing is scheduled. */
export async function readEarliestDue(db: Tx): Promise<Date | null> {
  const [row] = await db.query<{ next_run_at: Date }>(
    `SELECT next_run_at FROM signalbox.workflow
     WHERE next_run_at IS NOT NULL AND NOT paused ORDER BY next_run_at LIMIT 1`,
  );
  return row?.next_run_at ?? null;
}

export interface ScheduleRow {
  readonly name: string;
  readonly schedule: WorkflowSchedule | null;
  readonly paused: boolean;
  readonly next_run_at: Date | null;
  readonly next_logical_date: Date | null;
  readonly next_interval_end: Date | null;
}

/** The schedule of a workflow, and what is due of it next. */
export async function findSchedule(db: Tx, workflow: string): Promise<ScheduleRow | undefined> {
  const [row] = await db.query<ScheduleRow>(
    `SELECT name, schedule, paused, next_run_at, next_logical_date, next_interval_end
     FROM signalbox.workflow WHERE name = $1`,
    [workflow],
  );
  return row;
}

/** Workflows whose next run was due before a moment and that are not paused, the longest overdue first. */
export function readOverdue(
  db: Tx,
  before: Date,
  limit: number,
  prefix: string,
): Promise<{ workflow: string; logical_date: Date; due_at: Date }[]> {
  return db.query(
    `SELECT name AS workflow, next_logical_date AS logical_date, next_run_at AS due_at
     FROM signalbox.workflow
     WHERE next_run_at < $1 AND NOT paused AND signalbox.in_environment(name, $3)
     ORDER BY next_run_at LIMIT $2`,
    [before, limit, prefix],
  );
}
