/** Rows of `incident` and `incident_event`. An incident's status changes in one place: `recordEvent`. */
import type pg from 'pg';
import { prefixOf } from '../../domain/environment.ts';
import type { Evidence, Finding, Severity, Subject } from '../../domain/finding.ts';
import {
  INCIDENT_STATUSES,
  type Incident,
  type IncidentEvent,
  type IncidentEventType,
  type IncidentStatus,
  nextIncidentStatus,
} from '../../domain/incident.ts';
import { branchOf, inEnvironmentSql } from '../of-branch.ts';

/** A connection, a client in a transaction, or the pool. */
export type Db = Pick<pg.Pool, 'query'>;

/** An incident without its timeline, with what the rounds keep about it. */
export interface StoredIncident extends Omit<Incident, 'timeline' | 'executions'> {
  readonly clearSince: number | null;
  readonly respondAfter: number | null;
  readonly skipReason: string | null;
  readonly refusedSince: number | null;
}

/** What an event changes beside the status. Moments are Unix milliseconds. */
export interface IncidentPatch {
  readonly fingerprint?: string;
  readonly severity?: Severity;
  readonly title?: string;
  readonly rootCause?: string | null;
  readonly diagnosis?: string | null;
  readonly subjects?: readonly Subject[];
  readonly affected?: readonly Subject[];
  readonly evidence?: readonly Evidence[];
  readonly acknowledgedAt?: number;
  readonly mitigatedAt?: number | null;
  /** Sets `mitigatedAt` where it is not set. */
  readonly mitigatedFirstAt?: number;
  readonly resolvedAt?: number;
  readonly needsHuman?: boolean;
  readonly clearSince?: number | null;
  readonly respondAfter?: number | null;
  readonly skipReason?: string | null;
  readonly refusedSince?: number | null;
}

const SET: Readonly<Record<keyof IncidentPatch, (parameter: string) => string>> = {
  fingerprint: (p) => `fingerprint = ${p}`,
  severity: (p) => `severity = ${p}`,
  title: (p) => `title = ${p}`,
  rootCause: (p) => `root_cause = ${p}`,
  diagnosis: (p) => `diagnosis = ${p}`,
  subjects: (p) => `subjects = ${p}::jsonb`,
  affected: (p) => `affected = ${p}::jsonb`,
  evidence: (p) => `evidence = ${p}::jsonb`,
  acknowledgedAt: (p) => `acknowledged_at = coalesce(acknowledged_at, ${moment(p)})`,
  mitigatedAt: (p) => `mitigated_at = ${moment(p)}`,
  mitigatedFirstAt: (p) => `mitigated_at = coalesce(mitigated_at, ${moment(p)})`,
  resolvedAt: (p) => `resolved_at = ${moment(p)}`,
  needsHuman: (p) => `needs_human = ${p}::boolean`,
  clearSince: (p) => `clear_since = ${moment(p)}`,
  respondAfter: (p) => `respond_after = ${moment(p)}`,
  skipReason: (p) => `skip_reason = ${p}`,
  refusedSince: (p) => `refused_since = ${moment(p)}`,
};

function moment(parameter: string): string {
  return `to_timestamp(${parameter}::float8 / 1000)`;
}

function assignments(patch: IncidentPatch, values: unknown[]): string[] {
  return Object.entries(patch)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      values.push(Array.isArray(value) ? JSON.stringify(value) : value);
      return SET[name as keyof IncidentPatch](`$${values.length}`);
    });
}

export interface NewEvent {
  readonly at: number;
  readonly type: IncidentEventType;
  readonly reason: string;
  readonly actor: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Opens an incident; null where the same trouble has one already. */
export async function insertIncident(
  db: Db,
  id: string,
  finding: Finding,
  event: NewEvent,
): Promise<StoredIncident | null> {
  const { rows } = await db.query<IncidentRow>(
    `WITH opened AS (
       INSERT INTO signalbox.incident (id, kind, fingerprint, severity, title, root_cause, diagnosis,
                                       subjects, affected, evidence, evidence_at, detected_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::jsonb, $10::jsonb,
               ${moment('$11')}, ${moment('$12')})
       ON CONFLICT (fingerprint) WHERE status <> 'resolved' DO NOTHING
       RETURNING *
     ), logged AS (
       INSERT INTO signalbox.incident_event (incident_id, at, type, reason, actor, detail)
       SELECT id, detected_at, $13, $14, $15, $16::jsonb FROM opened
     )
     SELECT * FROM opened`,
    [
      ...[id, finding.kind, finding.fingerprint, finding.severity, finding.title],
      ...[finding.rootCause, finding.diagnosis, JSON.stringify(finding.subjects)],
      ...[JSON.stringify(finding.affected), JSON.stringify(finding.evidence)],
      ...[Math.min(finding.since, event.at), event.at],
      ...[event.type, event.reason, event.actor, JSON.stringify(event.detail)],
    ],
  );
  return rows[0] ? toIncident(rows[0]) : null;
}

/**
 * Appends an event, moves the status as the domain says, and applies the patch, all in one statement. Null where
 * the status does not allow the event: then nothing changed.
 */
export async function recordEvent(
  db: Db,
  id: string,
  event: NewEvent,
  patch: IncidentPatch,
): Promise<StoredIncident | null> {
  const moves = INCIDENT_STATUSES.map((from) => ({
    from,
    to: nextIncidentStatus(from, event.type),
  }));
  const allowed = moves.filter(({ to }) => to !== null);
  const values: unknown[] = [
    ...[id, allowed.map(({ from }) => from), allowed.map(({ to }) => to)],
    ...[event.at, event.type, event.reason, event.actor, JSON.stringify(event.detail)],
  ];
  const set = ['status = move.target', ...assignments(patch, values)].join(', ');
  const { rows } = await db.query<IncidentRow>(
    `WITH moved AS (
       UPDATE signalbox.incident AS incident SET ${set}
       FROM unnest($2::text[], $3::text[]) AS move (source, target)
       WHERE incident.id = $1 AND incident.status = move.source
       RETURNING incident.*
     ), logged AS (
       INSERT INTO signalbox.incident_event (incident_id, at, type, reason, actor, detail)
       SELECT id, ${moment('$4')}, $5, $6, $7, $8::jsonb FROM moved
     )
     SELECT * FROM moved`,
    values,
  );
  return rows[0] ? toIncident(rows[0]) : null;
}

/** Changes what the rounds keep, without a line in the timeline. */
export async function patchIncident(db: Db, id: string, patch: IncidentPatch): Promise<void> {
  const values: unknown[] = [id];
  const set = assignments(patch, values).join(', ');
  await db.query(
    `UPDATE signalbox.incident SET ${set} WHERE id = $1 AND status <> 'resolved'`,
    values,
  );
}

/** All that are not resolved, oldest first. */
export async function loadUnresolved(db: Db): Promise<readonly StoredIncident[]> {
  const { rows } = await db.query<IncidentRow>(
    `SELECT * FROM signalbox.incident WHERE status <> 'resolved' ORDER BY number`,
  );
  return rows.map(toIncident);
}

export async function loadIncident(db: Db, id: string): Promise<StoredIncident | null> {
  const { rows } = await db.query<IncidentRow>('SELECT * FROM signalbox.incident WHERE id = $1', [
    id,
  ]);
  return rows[0] ? toIncident(rows[0]) : null;
}

export async function isResolved(db: Db, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM signalbox.incident WHERE id = $1 AND status = 'resolved'`,
    [id],
  );
  return rowCount === 1;
}

/** Newest first, below `before`. */
export async function listIncidents(
  db: Db,
  where: {
    status: string | null;
    kind: string | null;
    before: string | null;
    /** As `listPrefix` gives it. */
    prefix: string;
    limit: number;
  },
): Promise<readonly StoredIncident[]> {
  const { rows } = await db.query<IncidentRow>(
    `SELECT * FROM signalbox.incident
     WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR kind = $2)
       AND ($3::bigint IS NULL OR number < $3) AND ${inEnvironmentSql('fingerprint', '$5')}
     ORDER BY number DESC LIMIT $4`,
    [where.status, where.kind, where.before, where.limit, where.prefix],
  );
  return rows.map(toIncident);
}

/** Deletes all that an environment ever had. */
export async function deleteIncidentsOf(db: Db, environment: string): Promise<void> {
  await db.query(
    `WITH theirs AS MATERIALIZED (
       SELECT id FROM signalbox.incident WHERE ${inEnvironmentSql('fingerprint', '$1')}
     ), done AS (
       DELETE FROM signalbox.execution e USING theirs t WHERE e.incident_id = t.id
     )
     DELETE FROM signalbox.incident_event e USING theirs t WHERE e.incident_id = t.id`,
    [prefixOf(environment)],
  );
  await db.query(`DELETE FROM signalbox.incident WHERE ${inEnvironmentSql('fingerprint', '$1')}`, [
    prefixOf(environment),
  ]);
}

/** Adds timelines and executions to incidents. */
export async function withTimelines(
  db: Db,
  incidents: readonly StoredIncident[],
): Promise<readonly Incident[]> {
  const ids = incidents.map(({ id }) => id);
  const [events, executions] = await Promise.all([
    db.query<EventRow>(
      `SELECT incident_id, at, type, reason, actor, detail FROM signalbox.incident_event
       WHERE incident_id = ANY ($1::uuid[]) ORDER BY id`,
      [ids],
    ),
    db.query<{ id: string; incident_id: string }>(
      `SELECT id, incident_id FROM signalbox.execution
       WHERE incident_id = ANY ($1::uuid[]) ORDER BY created_at, id`,
      [ids],
    ),
  ]);
  const eventsOf = Map.groupBy(events.rows, (row) => row.incident_id);
  const executionsOf = Map.groupBy(executions.rows, (row) => row.incident_id);
  return incidents.map(({ clearSince, respondAfter, skipReason, refusedSince, ...incident }) => ({
    ...incident,
    timeline: (eventsOf.get(incident.id) ?? []).map(toEvent),
    executions: (executionsOf.get(incident.id) ?? []).map((row) => row.id),
  }));
}

export interface IncidentRow {
  readonly id: string;
  readonly number: string;
  readonly kind: Incident['kind'];
  readonly fingerprint: string;
  readonly status: IncidentStatus;
  readonly severity: Severity;
  readonly title: string;
  readonly root_cause: string | null;
  readonly diagnosis: string | null;
  readonly subjects: readonly Subject[];
  readonly affected: readonly Subject[];
  readonly evidence: readonly Evidence[];
  readonly evidence_at: Date;
  readonly detected_at: Date;
  readonly acknowledged_at: Date | null;
  readonly mitigated_at: Date | null;
  readonly resolved_at: Date | null;
  readonly needs_human: boolean;
  readonly clear_since: Date | null;
  readonly respond_after: Date | null;
  readonly skip_reason: string | null;
  readonly refused_since: Date | null;
}

interface EventRow extends Omit<IncidentEvent, 'at'> {
  readonly incident_id: string;
  readonly at: Date;
}

function toIncident(row: IncidentRow): StoredIncident {
  const environment = branchOf(row);
  return {
    ...(environment === null ? {} : { environment }),
    id: row.id,
    number: Number(row.number),
    kind: row.kind,
    status: row.status,
    severity: row.severity,
    title: row.title,
    rootCause: row.root_cause,
    diagnosis: row.diagnosis,
    fingerprint: row.fingerprint,
    subjects: row.subjects,
    affected: row.affected,
    evidence: row.evidence,
    evidenceAt: row.evidence_at.toISOString(),
    detectedAt: row.detected_at.toISOString(),
    acknowledgedAt: row.acknowledged_at?.toISOString() ?? null,
    mitigatedAt: row.mitigated_at?.toISOString() ?? null,
    resolvedAt: row.resolved_at?.toISOString() ?? null,
    needsHuman: row.needs_human,
    clearSince: row.clear_since?.getTime() ?? null,
    respondAfter: row.respond_after?.getTime() ?? null,
    skipReason: row.skip_reason,
    refusedSince: row.refused_since?.getTime() ?? null,
  };
}

function toEvent({ at, type, reason, actor, detail }: EventRow): IncidentEvent {
  return { at: at.toISOString(), type, reason, actor, detail };
}
