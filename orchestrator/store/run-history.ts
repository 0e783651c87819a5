/** What happened in a run, for who looks at it or goes back in it: attempts, actions by hand, steps, child runs. */

import type { RunError, RunState } from '../../domain/run.ts';
import type { RunActionRecord, RunSelection } from '../../domain/run-control.ts';
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface LoggedAttemptRow {
  readonly attempt: number;
  readonly state: number;
  readonly agent: string | null;
  readonly readyAt: Date | null;
  readonly startedAt: Date | null;
  readonly finishedAt: Date;
  readonly error: RunError | null;
  readonly resultBytes: number | null;
}

const MAX_ATTEMPTS = 1_000;
const MAX_ACTIONS = 200;

/** The last attempts of a task that have ended, oldest first. */
export async function readAttempts(
  db: Tx,
  runId: string,
  task: number,
): Promise<LoggedAttemptRow[]> {
  const rows = await db.query<LoggedAttemptRow>(
    `SELECT attempt, state, agent, ready_at AS "readyAt", started_at AS "startedAt",
            finished_at AS "finishedAt", error, octet_length(result::text) AS "resultBytes"
     FROM signalbox.task_log WHERE run_id = $1 AND task = $2 ORDER BY attempt DESC LIMIT ${MAX_ATTEMPTS}`,
    [runId, task],
  );
  return rows.reverse();
}

/** What people did to a run, newest first. */
export async function readRunActions(db: Tx, runId: string): Promise<RunActionRecord[]> {
  const rows = await db.query<Omit<RunActionRecord, 'at'> & { at: Date }>(
    `SELECT at, actor, action, reason, detail FROM signalbox.run_action
     WHERE run_id = $1 ORDER BY id DESC LIMIT ${MAX_ACTIONS}`,
    [runId],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

/** When the step began, of this try or the last one that failed; null where it was never recorded. */
export async function findStepStart(tx: Tx, runId: string, key: string): Promise<Date | null> {
  const [row] = await tx.query<{ at: Date | null }>(
    `SELECT min(started_at) AS at FROM signalbox.step_log
     WHERE run_id = $1 AND (key = $2 OR (starts_with(key, $2 || '@') AND state = 'failed'))`,
    [runId, key],
  );
  return row?.at ?? null;
}

/** When the child run under this key was started; null where there is none. */
export async function findChildStart(tx: Tx, runId: string, key: string): Promise<Date | null> {
  const [row] = await tx.query<{ at: Date | null }>(
    `SELECT min(created_at) AS at FROM signalbox.run
     WHERE parent_run_id = $1
       AND (idempotency_key = $2 OR starts_with(idempotency_key, $2 || '@'))`,
    [runId, subflowKey(runId, key)],
  );
  return row?.at ?? null;
}

/** Key under which a flow starts a child run; the same key gives the same child again. */
function subflowKey(runId: string, key: string): string {
  return `subflow:${runId}:${key}`;
}

/** Steps that began then or later; all where `since` is null. Markers of failed attempts stay. */
const FORGETTABLE = `run_id = $1 AND key !~ '^flow@[0-9]+$' AND ($2::timestamptz IS NULL OR started_at >= $2)`;

export async function findSteps(tx: Tx, runId: string, since: Date | null): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(
    `SELECT key FROM signalbox.step_log WHERE ${FORGETTABLE} ORDER BY started_at, key`,
    [runId, since],
  );
  return rows.map(([key]) => key);
}

/**
 * Forgets steps, what was waited for, and the child runs that were started since: a child keeps its row, and loses the key under which the
 * flow would find it again.
 */
export async function forgetSteps(tx: Tx, runId: string, since: Date | null): Promise<void> {
  await tx.execute(`DELETE FROM signalbox.step_log WHERE ${FORGETTABLE}`, [runId, since]);
  await tx.execute(
    `DELETE FROM signalbox.flow_wait
     WHERE run_id = $1 AND ($2::timestamptz IS NULL OR created_at >= $2)`,
    [runId, since],
  );
  await tx.execute(
    `UPDATE signalbox.run SET idempotency_key = left('forgotten:' || id::text || ':' || idempotency_key, 500)
     WHERE parent_run_id = $1 AND starts_with(idempotency_key, $3)
       AND ($2::timestamptz IS NULL OR created_at >= $2)`,
    [runId, since, subflowKey(runId, '')],
  );
}

export interface ChildRun {
  readonly id: string;
  readonly workflow: string;
  readonly state: RunState;
}

/** Runs that these runs started; `total` is of all. */
export async function readChildRuns(
  db: Tx,
  runIds: readonly string[],
  limit: number,
): Promise<{ runs: readonly ChildRun[]; total: number }> {
  const rows = await db.query<ChildRun & { total: number }>(
    `SELECT r.id, r.workflow, coalesce(l.state, r.state) AS state, count(*) OVER ()::int AS total
     FROM signalbox.run r LEFT JOIN signalbox.run_live l ON l.run_id = r.id
     WHERE r.parent_run_id = ANY($1::uuid[]) ORDER BY r.id LIMIT $2`,
    [plainArray(runIds), limit],
  );
  return {
    runs: rows.map(({ id, workflow, state }) => ({ id, workflow, state })),
    total: rows[0]?.total ?? 0,
  };
}

const MAX_LEVELS = 50;

/** These assets and what is computed from them, with owners; `total` is of all. */
export async function readAssetsBehind(
  db: Tx,
  keys: readonly string[],
  limit: number,
): Promise<{ assets: readonly { key: string; owners: readonly string[] }[]; total: number }> {
  if (keys.length === 0) return { assets: [], total: 0 };
  const rows = await db.query<{ key: string; owners: readonly string[]; total: number }>(
    `WITH RECURSIVE behind AS (
       SELECT key, 0 AS level FROM unnest($1::text[]) AS k (key)
       UNION
       SELECT e.downstream, b.level + 1 FROM behind b JOIN signalbox.asset_edge e ON e.upstream = b.key
       WHERE b.level < ${MAX_LEVELS}
     ), nearest AS (SELECT key, min(level) AS level FROM behind GROUP BY key)
     SELECT n.key, coalesce(a.owners, '[]') AS owners, count(*) OVER ()::int AS total
     FROM nearest n LEFT JOIN signalbox.asset a ON a.key = n.key ORDER BY n.level, n.key LIMIT $2`,
    [textArray(keys), limit],
  );
  return { assets: rows.map(({ key, owners }) => ({ key, owners })), total: rows[0]?.total ?? 0 };
}

/** Ids of this orchestrator's runs that are meant, oldest first. */
export async function selectRuns(
  db: Tx,
  selection: RunSelection & { readonly after: string | null; readonly limit: number },
): Promise<string[]> {
  const rows = await db.rows<readonly [string]>(
    `SELECT r.id FROM signalbox.run r LEFT JOIN signalbox.run_live l ON l.run_id = r.id
     WHERE r.workflow = $1 AND r.engine = 'signalbox' AND ($2::uuid IS NULL OR r.id > $2)
       AND ($3::text[] IS NULL OR coalesce(l.state, r.state) = ANY($3))
       AND ($4::timestamptz IS NULL OR coalesce(r.logical_date, r.created_at) >= $4)
       AND ($5::timestamptz IS NULL OR coalesce(r.logical_date, r.created_at) < $5)
     ORDER BY r.id LIMIT $6`,
    [
      ...[selection.workflow, selection.after, selection.states ?? null],
      ...[selection.from ?? null, selection.to ?? null, selection.limit],
    ],
  );
  return rows.map(([id]) => id);
}
