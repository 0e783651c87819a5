/** Table `expected_run`: what schedules called for, and what became of it. */
import type { ExpectedOutcome, ExpectedReason, ExpectedRun } from '../../domain/schedule.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface ExpectedRecord {
  readonly workflow: string;
  readonly logicalDate: EpochMs;
  readonly intervalEnd: EpochMs;
  readonly dueAt: EpochMs;
  readonly outcome: ExpectedOutcome;
  readonly runId: string | null;
  readonly reason: ExpectedReason | null;
  readonly since: EpochMs | null;
}

/** A decision stays, but that a run comes after all. */
const INSERT = `
  INSERT INTO signalbox.expected_run AS e (
    workflow, logical_date, interval_end, due_at, outcome, run_id, reason, since, noticed_at)
  SELECT workflow, to_timestamp(logical_ms / 1000), to_timestamp(end_ms / 1000), to_timestamp(due_ms / 1000),
         outcome, run_id, reason, to_timestamp(since_ms / 1000), to_timestamp($1::float8 / 1000)
  FROM unnest($2::text[], $3::float8[], $4::float8[], $5::float8[], $6::text[], $7::uuid[], $8::text[], $9::float8[])
    AS n (workflow, logical_ms, end_ms, due_ms, outcome, run_id, reason, since_ms)
  ORDER BY workflow, logical_ms
  ON CONFLICT (workflow, logical_date) DO UPDATE SET
    outcome = excluded.outcome, run_id = excluded.run_id, reason = excluded.reason, since = excluded.since,
    interval_end = excluded.interval_end, due_at = excluded.due_at, noticed_at = excluded.noticed_at
  WHERE excluded.outcome = 'run' AND e.outcome IN ('missed', 'dropped')`;

export async function insertExpected(
  tx: Tx,
  records: readonly ExpectedRecord[],
  now: EpochMs,
): Promise<void> {
  if (records.length === 0) return;
  await tx.execute(INSERT, [
    now,
    textArray(records.map(({ workflow }) => workflow)),
    plainArray(records.map(({ logicalDate }) => logicalDate)),
    plainArray(records.map(({ intervalEnd }) => intervalEnd)),
    plainArray(records.map(({ dueAt }) => dueAt)),
    plainArray(records.map(({ outcome }) => outcome)),
    plainArray(records.map(({ runId }) => runId)),
    plainArray(records.map(({ reason }) => reason)),
    plainArray(records.map(({ since }) => since)),
  ]);
}

export interface ExpectedRow {
  readonly workflow: string;
  readonly logical_date: Date;
  readonly interval_end: Date;
  readonly due_at: Date;
  readonly outcome: ExpectedOutcome;
  readonly run_id: string | null;
  readonly reason: ExpectedReason | null;
  readonly since: Date | null;
  readonly noticed_at: Date;
}

export interface ExpectedQuery {
  readonly workflow: string | null;
  readonly outcome: ExpectedOutcome | null;
  /** Place of the last one of the page before. */
  readonly after: { readonly logicalDate: string; readonly workflow: string } | null;
  readonly limit: number;
}

/** Newest logical date first. */
export async function listExpected(db: Tx, query: ExpectedQuery): Promise<ExpectedRun[]> {
  const values: unknown[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const { workflow, outcome, after } = query;
  const conditions = [
    ...(workflow === null ? [] : [`workflow = ${parameter(workflow)}`]),
    ...(outcome === null ? [] : [`outcome = ${parameter(outcome)}`]),
    // Says to the planner that the index of what did not run will do.
    ...(outcome === null || outcome === 'run' ? [] : [`outcome <> 'run'`]),
    ...(after === null
      ? []
      : [
          `(logical_date, workflow) < (${parameter(after.logicalDate)}::timestamptz, ${parameter(after.workflow)})`,
        ]),
  ];
  const rows = await db.query<ExpectedRow>(
    `SELECT workflow, logical_date, interval_end, due_at, outcome, run_id, reason, since, noticed_at
     FROM signalbox.expected_run ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
     ORDER BY logical_date DESC, workflow DESC LIMIT ${parameter(query.limit)}`,
    values,
  );
  return rows.map(toExpected);
}

function toExpected(row: ExpectedRow): ExpectedRun {
  const start = row.logical_date.toISOString();
  return {
    workflow: row.workflow,
    logicalDate: start,
    dataInterval: { start, end: row.interval_end.toISOString() },
    dueAt: row.due_at.toISOString(),
    outcome: row.outcome,
    runId: row.run_id,
    reason: row.reason,
    sinceLogicalDate: toRfc3339(row.since),
    noticedAt: row.noticed_at.toISOString(),
  };
}

/** Takes away what was noticed before a moment. @returns how many rows */
export function deleteExpected(tx: Tx, before: Date, limit: number): Promise<number> {
  return tx.execute(
    `DELETE FROM signalbox.expected_run WHERE (workflow, logical_date) IN (
       SELECT workflow, logical_date FROM signalbox.expected_run
       WHERE noticed_at < $1 ORDER BY noticed_at LIMIT $2)`,
    [before, limit],
  );
}

/** Notes of runs that were made that a newer one of their schedule ended them. */
export async function noteSuperseded(tx: Tx, runIds: readonly string[]): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.expected_run e SET reason = 'cancelled-by-overlap'
     FROM signalbox.run r
     WHERE r.id = ANY($1::uuid[]) AND e.workflow = r.workflow AND e.logical_date = r.logical_date
       AND e.run_id = r.id`,
    [plainArray(runIds)],
  );
}
