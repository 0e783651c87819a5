/** Tables `workflow_deadline` (what is declared, and the date looked for next) and `deadline` (of runs, by their moment). */
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import type { WorkflowSchedule } from '../../domain/schedule.ts';
import type { EpochMs } from '../../domain/time.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** A declared deadline to store; times as RFC 3339. */
export interface DeadlineRecord {
  readonly workflow: string;
  readonly place: number;
  readonly definition: DeadlineDefinition;
  readonly schedule: WorkflowSchedule | null;
  readonly next_due_at: string | null;
  readonly interval_start: string | null;
  readonly interval_end: string | null;
}

/** Where deadline and schedule are as they were, what is looked for next stays, so that no date is passed by. */
const UPSERT = `
  INSERT INTO signalbox.workflow_deadline AS d (
    workflow, place, definition, since, schedule, next_due_at, interval_start, interval_end)
  SELECT workflow, place, definition, $2, schedule, next_due_at, interval_start, interval_end
  FROM jsonb_to_recordset($1::jsonb) AS n (
    workflow text, place int, definition jsonb, schedule jsonb, next_due_at timestamptz,
    interval_start timestamptz, interval_end timestamptz)
  ORDER BY workflow, place
  ON CONFLICT (workflow, place) DO UPDATE SET
    definition = excluded.definition, schedule = excluded.schedule, since = excluded.since,
    next_due_at = excluded.next_due_at, interval_start = excluded.interval_start,
    interval_end = excluded.interval_end
  WHERE d.definition IS DISTINCT FROM excluded.definition OR d.schedule IS DISTINCT FROM excluded.schedule`;

/** Sets the deadlines that these workflows declare. */
export async function replaceDeadlines(
  tx: Tx,
  workflows: readonly string[],
  records: readonly DeadlineRecord[],
  now: Date,
): Promise<void> {
  await tx.execute(
    `DELETE FROM signalbox.workflow_deadline d WHERE d.workflow = ANY($1) AND NOT EXISTS (
       SELECT FROM unnest($2::text[], $3::int[]) AS n (workflow, place)
       WHERE n.workflow = d.workflow AND n.place = d.place)`,
    [
      workflows,
      textArray(records.map(({ workflow }) => workflow)),
      plainArray(records.map(({ place }) => place)),
    ],
  );
  if (records.length > 0) await tx.execute(UPSERT, [jsonText(records), now]);
}

/** A deadline of a new run. */
export interface NewDeadline {
  readonly runId: string;
  readonly place: number;
  readonly workflow: string;
  readonly dueAt: EpochMs;
  /** Its moment where `dueAt` was over before the deadline was declared; null where that cannot be. */
  readonly elseDueAt: EpochMs | null;
}

/** Does nothing for none. */
export async function insertDeadlines(tx: Tx, rows: readonly NewDeadline[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.deadline (run_id, place, due_at)
     SELECT n.run_id, n.place, to_timestamp(
       CASE WHEN n.else_ms IS NOT NULL AND to_timestamp(n.due_ms / 1000) < w.since
            THEN n.else_ms ELSE n.due_ms END / 1000)
     FROM unnest($1::uuid[], $2::int[], $3::text[], $4::float8[], $5::float8[])
       AS n (run_id, place, workflow, due_ms, else_ms)
     LEFT JOIN signalbox.workflow_deadline w ON w.workflow = n.workflow AND w.place = n.place`,
    [
      plainArray(rows.map(({ runId }) => runId)),
      plainArray(rows.map(({ place }) => place)),
      textArray(rows.map(({ workflow }) => workflow)),
      plainArray(rows.map(({ dueAt }) => dueAt)),
      plainArray(rows.map(({ elseDueAt }) => elseDueAt)),
    ],
  );
}

export interface DueDeadlineRow {
  readonly run_id: string;
  readonly place: number;
  readonly due_at: Date;
}

/** Locks deadlines that are due; what another server has locked is its business. */
export function claimDueDeadlines(tx: Tx, now: Date, limit: number): Promise<DueDeadlineRow[]> {
  return tx.query<DueDeadlineRow>(
    `SELECT run_id, place, due_at FROM signalbox.deadline
     WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [now, limit],
  );
}

export async function endDeadlines(
  tx: Tx,
  rows: readonly { readonly run_id: string; readonly place: number }[],
): Promise<void> {
  if (rows.length === 0) return;
  await tx.execute(
    `DELETE FROM signalbox.deadline d USING unnest($1::uuid[], $2::int[]) AS n (run_id, place)
     WHERE d.run_id = n.run_id AND d.place = n.place`,
    [plainArray(rows.map((row) => row.run_id)), plainArray(rows.map((row) => row.place))],
  );
}

export async function moveDeadlines(
  tx: Tx,
  rows: readonly { readonly run_id: string; readonly place: number; readonly at: EpochMs }[],
): Promise<void> {
  if (rows.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.deadline d SET due_at = to_timestamp(n.at / 1000)
     FROM unnest($1::uuid[], $2::int[], $3::float8[]) AS n (run_id, place, at)
     WHERE d.run_id = n.run_id AND d.place = n.place`,
    [
      plainArray(rows.map((row) => row.run_id)),
      plainArray(rows.map((row) => row.place)),
      plainArray(rows.map((row) => row.at)),
    ],
  );
}

/** A date of a schedule whose run had to be over. */
export interface ExpectedDueRow {
  readonly workflow: string;
  readonly place: number;
  readonly definition: DeadlineDefinition;
  readonly schedule: WorkflowSchedule;
  readonly next_due_at: Date;
  readonly interval_start: Date;
  readonly interval_end: Date;
  readonly paused: boolean;
  readonly paused_at: Date | null;
  /** The first date that nobody has decided about, and when its run was due. */
  readonly next_logical_date: Date | null;
  readonly next_run_at: Date | null;
  /** Whether there is a run of the date. */
  readonly came: boolean;
  readonly outcome: string | null;
  readonly reason: string | null;
}

/** Locks dates that are due. */
export function claimExpected(tx: Tx, now: Date, limit: number): Promise<ExpectedDueRow[]> {
  return tx.query<ExpectedDueRow>(
    `SELECT d.workflow, d.place, d.definition, d.schedule, d.next_due_at, d.interval_start, d.interval_end,
            w.paused, w.paused_at, w.next_logical_date, w.next_run_at, e.outcome, e.reason,
            EXISTS (SELECT FROM signalbox.run r
                    WHERE r.workflow = d.workflow AND r.trigger = 'schedule'
                      AND r.logical_date = d.interval_start) AS came
     FROM signalbox.workflow_deadline d
     JOIN signalbox.workflow w ON w.name = d.workflow
     LEFT JOIN signalbox.expected_run e ON e.workflow = d.workflow AND e.logical_date = d.interval_start
     WHERE d.next_due_at <= $1
     ORDER BY d.next_due_at LIMIT $2 FOR UPDATE OF d SKIP LOCKED`,
    [now, limit],
  );
}

export async function setWatched(
  tx: Tx,
  rows: readonly Pick<
    DeadlineRecord,
    'workflow' | 'place' | 'next_due_at' | 'interval_start' | 'interval_end'
  >[],
): Promise<void> {
  if (rows.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.workflow_deadline d
     SET next_due_at = n.next_due_at, interval_start = n.interval_start, interval_end = n.interval_end
     FROM jsonb_to_recordset($1::jsonb) AS n (
       workflow text, place int, next_due_at timestamptz, interval_start timestamptz,
       interval_end timestamptz)
     WHERE d.workflow = n.workflow AND d.place = n.place`,
    [jsonText(rows)],
  );
}

export interface PendingRow {
  readonly run_id: string;
  readonly place: number;
  readonly due_at: Date;
  readonly workflow: string;
  readonly version_id: string;
  readonly logical_date: Date | null;
}

/** Deadlines whose moment is to come, of runs that have not ended, the next one first. */
export function listPending(
  db: Tx,
  query: { workflow: string | null; runId: string | null; limit: number; prefix: string },
): Promise<PendingRow[]> {
  return db.query<PendingRow>(
    `SELECT d.run_id, d.place, d.due_at, r.workflow, r.version_id, r.logical_date
     FROM signalbox.deadline d JOIN signalbox.run r ON r.id = d.run_id
     WHERE r.state = 'active' AND ($1::text IS NULL OR r.workflow = $1)
       AND ($2::uuid IS NULL OR d.run_id = $2) AND signalbox.in_environment(r.workflow, $4)
     ORDER BY d.due_at LIMIT $3`,
    [query.workflow, query.runId, query.limit, query.prefix],
  );
}
