/** Table `deadline_miss`: what was late, once. */
import type { LateBlocker, LateReason, MissAction } from '../../domain/deadline.ts';
import type { EpochMs } from '../../domain/time.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface NewMiss {
  readonly key: string;
  readonly workflow: string;
  readonly run_id: string | null;
  readonly task: number | null;
  readonly task_key: string | null;
  readonly name: string;
  readonly logical_date: string | null;
  readonly due_at: string;
  readonly reason: LateReason;
  readonly blockers: readonly LateBlocker[];
  readonly detail: string;
  readonly on_miss: MissAction;
  readonly ended_at: string | null;
  readonly end_state: string | null;
}

/** @returns keys of those that were not recorded before */
export async function insertMisses(
  tx: Tx,
  misses: readonly NewMiss[],
  now: EpochMs,
): Promise<ReadonlySet<string>> {
  if (misses.length === 0) return new Set();
  const rows = await tx.query<{ key: string }>(
    `INSERT INTO signalbox.deadline_miss (
       key, workflow, run_id, task, task_key, name, logical_date, due_at, noticed_at, reason, blockers, detail,
       on_miss, ended_at, end_state)
     SELECT key, workflow, run_id, task, task_key, name, logical_date, due_at, to_timestamp($2::float8 / 1000),
            reason, blockers, detail, on_miss, ended_at, end_state
     FROM jsonb_to_recordset($1::jsonb) AS n (
       key text, workflow text, run_id uuid, task int, task_key text, name text, logical_date timestamptz,
       due_at timestamptz, reason text, blockers jsonb, detail text, on_miss text, ended_at timestamptz,
       end_state text)
     ORDER BY key
     ON CONFLICT (key) DO NOTHING RETURNING key`,
    [jsonText(misses), now],
  );
  return new Set(rows.map(({ key }) => key));
}

/** Tells misses of dates that never came which run came after all. @returns keys of those that there were */
export async function attachRuns(
  tx: Tx,
  given: readonly { key: string; runId: string }[],
): Promise<ReadonlySet<string>> {
  if (given.length === 0) return new Set();
  const rows = await tx.query<{ key: string }>(
    `UPDATE signalbox.deadline_miss m SET run_id = n.run_id
     FROM unnest($1::text[], $2::uuid[]) AS n (key, run_id)
     WHERE m.key = n.key AND m.run_id IS NULL RETURNING m.key`,
    [textArray(given.map(({ key }) => key)), plainArray(given.map(({ runId }) => runId))],
  );
  return new Set(rows.map(({ key }) => key));
}

/** Notes the ends of what was late and has ended since. A task that has no end of its own ended with its run. */
export function noteEnds(db: Tx, limit: number): Promise<number> {
  return db.execute(
    `UPDATE signalbox.deadline_miss m SET ended_at = o.ended_at, end_state = o.end_state
     FROM (
       SELECT m.id, coalesce(t.finished_at, r.finished_at) AS ended_at,
              CASE t.state WHEN 2 THEN 'succeeded' WHEN 3 THEN 'failed' WHEN 4 THEN 'cancelled'
                           WHEN 5 THEN 'skipped' ELSE r.state END AS end_state
       FROM signalbox.deadline_miss m
       JOIN signalbox.run r ON r.id = m.run_id
       LEFT JOIN LATERAL (
         SELECT l.finished_at, l.state FROM signalbox.task_log l
         WHERE l.run_id = m.run_id AND l.task = m.task ORDER BY l.attempt DESC LIMIT 1) t
         ON t.state IN (2, 3, 4, 5)
       WHERE m.ended_at IS NULL AND m.run_id IS NOT NULL
         AND (r.finished_at IS NOT NULL OR t.finished_at IS NOT NULL)
       LIMIT $1) o
     WHERE m.id = o.id`,
    [limit],
  );
}

export interface ToActRow {
  readonly id: string;
  readonly run_id: string;
  readonly task_key: string | null;
  readonly on_miss: 'fail' | 'cancel';
  readonly detail: string;
}

/** Misses of which something is to become, and that nothing was done about. */
export function readToAct(db: Tx, limit: number): Promise<ToActRow[]> {
  return db.query<ToActRow>(
    `SELECT id, run_id, task_key, on_miss, detail FROM signalbox.deadline_miss
     WHERE on_miss <> 'record' AND acted_at IS NULL AND run_id IS NOT NULL ORDER BY id LIMIT $1`,
    [limit],
  );
}

export async function noteActed(db: Tx, id: string, at: Date, error: string | null): Promise<void> {
  await db.execute(
    'UPDATE signalbox.deadline_miss SET acted_at = $2, action_error = $3 WHERE id = $1',
    [id, at, error],
  );
}

export interface MissRow {
  readonly id: string;
  readonly workflow: string;
  readonly run_id: string | null;
  readonly task_key: string | null;
  readonly name: string;
  readonly logical_date: Date | null;
  readonly due_at: Date;
  readonly noticed_at: Date;
  readonly reason: LateReason;
  readonly blockers: readonly LateBlocker[];
  readonly detail: string;
  readonly on_miss: MissAction;
  readonly acted_at: Date | null;
  readonly action_error: string | null;
  readonly ended_at: Date | null;
  readonly end_state: string | null;
}

/** The newest first. */
export function listMisses(
  db: Tx,
  query: {
    workflow: string | null;
    runId: string | null;
    /** Only those that have not ended. */
    open: boolean;
    before: string | null;
    limit: number;
    prefix: string;
  },
): Promise<MissRow[]> {
  const values: unknown[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const { workflow, runId, open, before } = query;
  const conditions = [
    ...(workflow === null ? [] : [`workflow = ${parameter(workflow)}`]),
    ...(runId === null ? [] : [`run_id = ${parameter(runId)}`]),
    ...(open ? ['ended_at IS NULL'] : []),
    ...(workflow === null && runId === null
      ? [`signalbox.in_environment(workflow, ${parameter(query.prefix)})`]
      : []),
    ...(before === null ? [] : [`id < ${parameter(before)}`]),
  ];
  return db.query<MissRow>(
    `SELECT id, workflow, run_id, task_key, name, logical_date, due_at, noticed_at, reason, blockers, detail,
            on_miss, acted_at, action_error, ended_at, end_state
     FROM signalbox.deadline_miss ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
     ORDER BY id DESC LIMIT ${parameter(query.limit)}`,
    values,
  );
}
