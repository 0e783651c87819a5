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

/** Counts events that came while a workflow was paused: one row for each pause. */
export async function noteSkippedEvents(
  tx: Tx,
  skipped: readonly {
    readonly workflow: string;
    readonly pausedAt: Date;
    readonly events: number;
  }[],
  now: Date,
): Promise<void> {
  if (skipped.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.expected_run AS e (
       workflow, logical_date, interval_end, due_at, outcome, reason, noticed_at, events)
     SELECT workflow, paused_at, $4, $4, 'skipped', 'paused', $4, events
     FROM unnest($1::text[], $2::timestamptz[], $3::int[]) AS n (workflow, paused_at, events) ORDER BY workflow
     ON CONFLICT (workflow, logical_date) DO UPDATE SET
       events = coalesce(e.events, 0) + excluded.events, interval_end = excluded.interval_end,
       due_at = excluded.due_at, noticed_at = excluded.noticed_at`,
    [
      textArray(skipped.map(({ workflow }) => workflow)),
      textArray(skipped.map(({ pausedAt }) => pausedAt.toISOString())),
      plainArray(skipped.map(({ events }) => events)),
      now,
    ],
  );
}

/**
 * Notes dates that had no run as made good by items of a backfill that succeeded.
 * @param seqs of the items
 */
export async function noteMadeGood(
  tx: Tx,
  backfillId: string,
  seqs: readonly number[],
  now: Date,
): Promise<void> {
  if (seqs.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.expected_run e SET made_good_at = $3, made_good_by = i.run_id
     FROM signalbox.backfill b JOIN signalbox.backfill_item i ON i.backfill_id = b.id
     JOIN signalbox.run r ON r.id = i.run_id AND r.state = 'succeeded'
     WHERE b.id = $1 AND i.seq = ANY($2::int[]) AND e.workflow = b.workflow AND e.logical_date = i.logical_date
       AND e.outcome <> 'run' AND e.since IS NULL AND e.events IS NULL AND e.made_good_at IS NULL`,
    [backfillId, plainArray(seqs), now],
  );
}

/** The same for rows that stand for many dates: those of which a backfill that succeeded has all. */
export async function noteAllMadeGood(tx: Tx, backfillId: string, now: Date): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.expected_run e SET made_good_at = $2, made_good_by = (
       SELECT i.run_id FROM signalbox.backfill_item i
       WHERE i.backfill_id = b.id AND i.logical_date = e.logical_date LIMIT 1)
     FROM signalbox.backfill b
     WHERE b.id = $1 AND e.workflow = b.workflow AND e.outcome <> 'run' AND e.since IS NOT NULL
       AND e.since >= b.from_at AND e.logical_date < b.to_at AND e.made_good_at IS NULL`,
    [backfillId, now],
  );
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
  readonly events: number | null;
  readonly made_good_at: Date | null;
  readonly made_good_by: string | null;
}

export interface ExpectedQuery {
  readonly workflow: string | null;
  readonly outcome: ExpectedOutcome | null;
  /** Place of the last one of the page before. */
  readonly after: { readonly logicalDate: string; readonly workflow: string } | null;
  readonly limit: number;
  /** As `listPrefix` gives it. */
  readonly prefix: string;
}

/** Newest logical date first. */
export async function listExpected(db: Tx, query: ExpectedQuery): Promise<ExpectedRun[]> {
  const values: unknown[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const { workflow, outcome, after } = query;
  const conditions = [
    workflow === null
      ? `signalbox.in_environment(workflow, ${parameter(query.prefix)})`
      : `workflow = ${parameter(workflow)}`,
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
    `SELECT workflow, logical_date, interval_end, due_at, outcome, run_id, reason, since, noticed_at, events,
            made_good_at, made_good_by
     FROM signalbox.expected_run WHERE ${conditions.join(' AND ')}
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
    ...(row.events === null ? {} : { events: row.events }),
    ...(row.made_good_at === null
      ? {}
      : { madeGood: { at: row.made_good_at.toISOString(), runId: row.made_good_by } }),
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
