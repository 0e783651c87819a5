/** Rows of `execution`. Every change compares the status it starts from, so that of two servers one does it. */
import type { Finding } from '../../domain/finding.ts';
import type {
  CallResult,
  Execution,
  ExecutionStatus,
  GuardrailState,
  Plan,
  RunbookMode,
  Verdict,
} from '../../domain/runbook.ts';
import type { Db } from './incidents.ts';

/** Statuses in which an execution stands in the way of another one for its incident. */
const LIVE = `('planned', 'awaiting-approval', 'approved', 'acting', 'verifying')`;

export interface StoredExecution extends Execution {
  readonly incidentId: string;
  readonly target: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly findings: readonly Finding[];
  readonly actEndedAt: number | null;
}

export interface NewExecution {
  readonly id: string;
  readonly incidentId: string;
  readonly target: string;
  readonly runbook: string;
  readonly status: ExecutionStatus;
  readonly mode: RunbookMode;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly plan: Plan;
  readonly findings: readonly Finding[];
  readonly guardrails: readonly GuardrailState[];
  readonly requestedBy: string;
  readonly at: number;
}

/** Stores an execution; null where another one of the incident is under way. */
export async function insertExecution(
  db: Db,
  execution: NewExecution,
): Promise<StoredExecution | null> {
  const { rows } = await db.query<ExecutionRow>(
    `INSERT INTO signalbox.execution (id, incident_id, target, runbook, status, mode, parameters, plan, findings,
                                      guardrails, requested_by, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, to_timestamp($12::float8 / 1000))
     ON CONFLICT (incident_id) WHERE status IN ${LIVE} DO NOTHING
     RETURNING *`,
    [
      ...[execution.id, execution.incidentId, execution.target, execution.runbook],
      ...[execution.status, execution.mode, JSON.stringify(execution.parameters)],
      ...[JSON.stringify(execution.plan), JSON.stringify(execution.findings)],
      ...[JSON.stringify(execution.guardrails), execution.requestedBy, execution.at],
    ],
  );
  return rows[0] ? toExecution(rows[0]) : null;
}

export interface ExecutionPatch {
  readonly status?: ExecutionStatus;
  readonly runId?: string;
  readonly approvedBy?: string;
  readonly verdict?: Verdict | null;
  readonly guardrails?: readonly GuardrailState[];
  readonly actedAt?: number;
  readonly actEndedAt?: number;
  readonly finishedAt?: number;
}

const MOMENT = (p: string) => `to_timestamp(${p}::float8 / 1000)`;
const SET: Readonly<Record<keyof ExecutionPatch, (parameter: string) => string>> = {
  status: (p) => `status = ${p}`,
  runId: (p) => `run_id = ${p}`,
  approvedBy: (p) => `approved_by = ${p}`,
  verdict: (p) => `verdict = ${p}`,
  guardrails: (p) => `guardrails = ${p}::jsonb`,
  actedAt: (p) => `acted_at = coalesce(acted_at, ${MOMENT(p)})`,
  actEndedAt: (p) => `act_ended_at = ${MOMENT(p)}`,
  finishedAt: (p) => `finished_at = ${MOMENT(p)}`,
};

/** Changes an execution that has one of these statuses; null where it has none of them any more. */
export async function moveExecution(
  db: Db,
  id: string,
  from: readonly ExecutionStatus[],
  patch: ExecutionPatch,
): Promise<StoredExecution | null> {
  const values: unknown[] = [id, from];
  const set = Object.entries(patch).map(([name, value]) => {
    values.push(Array.isArray(value) ? JSON.stringify(value) : value);
    return SET[name as keyof ExecutionPatch](`$${values.length}`);
  });
  const { rows } = await db.query<ExecutionRow>(
    `UPDATE signalbox.execution SET ${set.join(', ')} WHERE id = $1 AND status = ANY ($2) RETURNING *`,
    values,
  );
  return rows[0] ? toExecution(rows[0]) : null;
}

/** Keeps the result of a call; true where this call had none. A repeat after a crash changes nothing. */
export async function addResult(db: Db, id: string, result: CallResult): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE signalbox.execution SET results = results || $2::jsonb
     WHERE id = $1 AND NOT results @> $3::jsonb`,
    [id, JSON.stringify([result]), JSON.stringify([{ key: result.key }])],
  );
  return rowCount === 1;
}

export async function loadExecution(db: Db, id: string): Promise<StoredExecution | null> {
  const { rows } = await db.query<ExecutionRow>('SELECT * FROM signalbox.execution WHERE id = $1', [
    id,
  ]);
  return rows[0] ? toExecution(rows[0]) : null;
}

/** All that are under way. */
export async function loadLive(db: Db): Promise<readonly StoredExecution[]> {
  const { rows } = await db.query<ExecutionRow>(
    `SELECT * FROM signalbox.execution WHERE status IN ${LIVE} ORDER BY created_at`,
  );
  return rows.map(toExecution);
}

/** All executions of an incident, oldest first. */
export async function executionsOf(
  db: Db,
  incidentId: string,
): Promise<readonly StoredExecution[]> {
  const { rows } = await db.query<ExecutionRow>(
    'SELECT * FROM signalbox.execution WHERE incident_id = $1 ORDER BY created_at, id',
    [incidentId],
  );
  return rows.map(toExecution);
}

export interface Usage {
  /** When the same runbook last acted on the target for another incident; null where it never did. */
  readonly lastOnTarget: number | null;
  readonly withinHour: number;
  /**
   * Failures in a row, newest first: of this target, or of how many targets, whichever is more. One trouble that
   * the runbook cannot mend says little about the others.
   */
  readonly failuresInRow: number;
  readonly ofIncident: number;
}

/** What guardrails count: what acted, and what is just about to. */
export async function readUsage(
  db: Db,
  of: { runbook: string; target: string; incidentId: string; now: number },
): Promise<Usage> {
  const { rows } = await db.query<{
    last_on_target: Date | null;
    within_hour: string;
    failures: string;
    of_incident: string;
  }>(
    `WITH acted AS (
       SELECT *, row_number() OVER (ORDER BY created_at DESC, id DESC) AS place
       FROM signalbox.execution
       WHERE runbook = $1 AND (acted_at IS NOT NULL OR status = 'approved')
         AND created_at > to_timestamp($4::float8 / 1000) - interval '1 day'
     ), last_good AS (
       SELECT coalesce(min(place), 1000000) AS place FROM acted WHERE status = 'succeeded'
     )
     SELECT max(acted_at) FILTER (WHERE target = $2 AND incident_id <> $3) AS last_on_target,
            count(*) FILTER (WHERE coalesce(acted_at, created_at)
                               > to_timestamp($4::float8 / 1000) - interval '1 hour') AS within_hour,
            greatest(count(*) FILTER (WHERE failed AND target = $2), count(DISTINCT target) FILTER (WHERE failed)) AS failures,
            count(*) FILTER (WHERE incident_id = $3) AS of_incident
     FROM (SELECT acted.*, status IN ('failed', 'undone') AND place < (SELECT place FROM last_good) AS failed
           FROM acted) AS acted`,
    [of.runbook, of.target, of.incidentId, of.now],
  );
  const row = rows[0];
  return {
    lastOnTarget: row?.last_on_target?.getTime() ?? null,
    withinHour: Number(row?.within_hour ?? 0),
    failuresInRow: Number(row?.failures ?? 0),
    ofIncident: Number(row?.of_incident ?? 0),
  };
}

export interface ExecutionRow {
  readonly id: string;
  readonly incident_id: string;
  readonly target: string;
  readonly runbook: string;
  readonly status: ExecutionStatus;
  readonly mode: RunbookMode;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly plan: Plan;
  readonly findings: readonly Finding[];
  readonly guardrails: readonly GuardrailState[];
  readonly results: readonly CallResult[];
  readonly run_id: string | null;
  readonly requested_by: string;
  readonly approved_by: string | null;
  readonly verdict: Verdict | null;
  readonly created_at: Date;
  readonly acted_at: Date | null;
  readonly act_ended_at: Date | null;
  readonly finished_at: Date | null;
}

function toExecution(row: ExecutionRow): StoredExecution {
  return {
    id: row.id,
    incidentId: row.incident_id,
    target: row.target,
    runbook: row.runbook,
    status: row.status,
    mode: row.mode,
    parameters: row.parameters,
    plan: row.plan,
    findings: row.findings,
    guardrails: row.guardrails,
    results: row.results,
    runId: row.run_id,
    requestedBy: row.requested_by,
    approvedBy: row.approved_by,
    verdict: row.verdict,
    createdAt: row.created_at.toISOString(),
    actedAt: row.acted_at?.toISOString() ?? null,
    actEndedAt: row.act_ended_at?.getTime() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

/** As the API shows it. */
export function publicExecution(execution: StoredExecution): Execution {
  const { target, parameters, findings, actEndedAt, ...shown } = execution;
  return shown;
}
