/** What scheduled runs of one workflow have to do with each other: which are under way, which wait for which. */
import type { RunError } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { SKIPPED } from '../dispatch/task-codes.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Runs of a workflow that have not ended. */
export interface Unended {
  /** Of any trigger, without those that wait for room. */
  readonly active: number;
  /** Scheduled ones, in the order in which they were made. */
  readonly scheduled: readonly { readonly runId: string; readonly waits: boolean }[];
}

const UNENDED = `
  SELECT l.workflow, l.run_id, l.state = 'scheduled', r.trigger = 'schedule', l.cancel_reason IS NOT NULL
  FROM signalbox.run_live l JOIN signalbox.run r ON r.id = l.run_id
  WHERE l.workflow = ANY($1::text[]) ORDER BY l.run_id`;

/** By workflow; one of which nothing is under way is missing. */
export async function readUnended(
  tx: Tx,
  workflows: readonly string[],
): Promise<ReadonlyMap<string, Unended>> {
  const byName = new Map<string, { active: number; scheduled: Unended['scheduled'][number][] }>();
  const rows = await tx.rows<readonly [string, string, boolean, boolean, boolean]>(UNENDED, [
    textArray([...workflows]),
  ]);
  for (const [workflow, runId, waits, scheduled, cancelling] of rows) {
    const known = byName.get(workflow) ?? { active: 0, scheduled: [] };
    byName.set(workflow, known);
    if (!waits) known.active += 1;
    if (scheduled && !cancelling) known.scheduled.push({ runId, waits });
  }
  return byName;
}

/** Notes that runs are to be cancelled, since a newer one replaces them. */
export async function insertSuperseded(
  tx: Tx,
  pairs: readonly { runId: string; byRunId: string }[],
): Promise<void> {
  if (pairs.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.run_superseded (run_id, by_run_id)
     SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT (run_id) DO NOTHING`,
    [plainArray(pairs.map(({ runId }) => runId)), plainArray(pairs.map(({ byRunId }) => byRunId))],
  );
}

export function readSuperseded(
  db: Tx,
  limit: number,
): Promise<{ runId: string; byRunId: string }[]> {
  return db.query(
    `SELECT run_id AS "runId", by_run_id AS "byRunId" FROM signalbox.run_superseded
     ORDER BY run_id LIMIT $1`,
    [limit],
  );
}

export async function deleteSuperseded(tx: Tx, runIds: readonly string[]): Promise<void> {
  await tx.execute('DELETE FROM signalbox.run_superseded WHERE run_id = ANY($1::uuid[])', [
    plainArray(runIds),
  ]);
}

/** The scheduled run of the logical date before, of each that was asked about; skipped ones do not count. */
export async function readPast(
  tx: Tx,
  of: readonly { workflow: string; before: EpochMs }[],
): Promise<ReadonlyMap<string, { runId: string; succeeded: boolean }>> {
  if (of.length === 0) return new Map();
  const rows = await tx.rows<readonly [string, string, boolean]>(
    `SELECT a.workflow, p.id, p.state = 'succeeded'
     FROM unnest($1::text[], $2::float8[]) AS a (workflow, before_ms)
     CROSS JOIN LATERAL (
       SELECT id, state FROM signalbox.run r
       WHERE r.workflow = a.workflow AND r.trigger = 'schedule' AND r.state <> 'skipped'
         AND r.logical_date < to_timestamp(a.before_ms / 1000)
       ORDER BY r.logical_date DESC LIMIT 1) p`,
    [textArray(of.map(({ workflow }) => workflow)), plainArray(of.map(({ before }) => before))],
  );
  return new Map(rows.map(([workflow, runId, succeeded]) => [workflow, { runId, succeeded }]));
}

/** Lets runs wait for others; `also` for more of them. */
export async function insertHolds(
  tx: Tx,
  holds: readonly {
    runId: string;
    workflow: string;
    afterRunId: string;
    also?: readonly string[];
  }[],
  now: EpochMs,
): Promise<void> {
  if (holds.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.run_hold (run_id, workflow, after_run_id, also, since)
     SELECT run_id, workflow, after_run_id, nullif(string_to_array(also, ','), '{}')::uuid[],
            to_timestamp($1::float8 / 1000)
     FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[]) AS h (run_id, workflow, after_run_id, also)
     ON CONFLICT (run_id) DO NOTHING`,
    [
      now,
      plainArray(holds.map(({ runId }) => runId)),
      textArray(holds.map(({ workflow }) => workflow)),
      plainArray(holds.map(({ afterRunId }) => afterRunId)),
      textArray(holds.map(({ also = [] }) => also.join(','))),
    ],
  );
}

/** Lets go what waited for a run that has succeeded, or that is not there any more; and what has ended itself. */
export async function releaseHolds(tx: Tx, workflow: string): Promise<void> {
  const takesPlace = tx.execute(
    `UPDATE signalbox.run_hold h SET after_run_id = n.id
     FROM (SELECT w.run_id, (SELECT r.id FROM signalbox.run r
                             WHERE r.id = ANY(w.also) AND r.state NOT IN ('succeeded', 'skipped') LIMIT 1) AS id
           FROM signalbox.run_hold w
           WHERE w.workflow = $1 AND w.also IS NOT NULL
             AND NOT EXISTS (SELECT FROM signalbox.run r WHERE r.id = w.after_run_id
                             AND r.state NOT IN ('succeeded', 'skipped'))) n
     WHERE h.run_id = n.run_id AND n.id IS NOT NULL`,
    [workflow],
  );
  const goes = tx.execute(
    `DELETE FROM signalbox.run_hold h WHERE h.workflow = $1 AND (
       NOT EXISTS (SELECT FROM signalbox.run r WHERE r.id = h.after_run_id AND r.state NOT IN ('succeeded', 'skipped'))
       OR NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.run_id = h.run_id))`,
    [workflow],
  );
  await Promise.all([takesPlace, goes]);
}

/** Stores why runs were skipped, and that all their tasks are. */
export async function setSkipped(
  tx: Tx,
  errors: readonly { runId: string; error: RunError }[],
): Promise<void> {
  if (errors.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.run r
     SET error = e.error,
         tasks = decode(repeat(lpad(to_hex($3::int), 2, '0'), jsonb_array_length(v.graph -> 'tasks')), 'hex')
     FROM unnest($1::uuid[], $2::jsonb[]) AS e (id, error), signalbox.workflow_version v
     WHERE r.id = e.id AND v.id = r.version_id`,
    [
      plainArray(errors.map(({ runId }) => runId)),
      textArray(errors.map(({ error }) => jsonText(error))),
      SKIPPED,
    ],
  );
}
