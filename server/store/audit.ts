/** Queries of `audit`. */
import type { Pool } from 'pg';

export interface AuditEntry {
  readonly at: number;
  readonly actor: string;
  readonly role: string;
  /** Method and route. */
  readonly action: string;
  /** Path that was called. */
  readonly subject: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly status: number;
  /** Id of the request, as in the log. */
  readonly request: string;
}

export interface AuditRow extends Omit<AuditEntry, 'at'> {
  readonly id: string;
  readonly at: string;
}

export async function insertAudit(db: Pool, entries: readonly AuditEntry[]): Promise<void> {
  await db.query(
    `INSERT INTO signalbox.audit (at, actor, role, action, subject, outcome, status, request)
     SELECT to_timestamp(at / 1000.0), actor, role, action, subject, outcome, status, request
     FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::text[])
       AS entry (at, actor, role, action, subject, outcome, status, request)`,
    [
      entries.map((entry) => entry.at),
      entries.map((entry) => entry.actor),
      entries.map((entry) => entry.role),
      entries.map((entry) => entry.action),
      entries.map((entry) => entry.subject),
      entries.map((entry) => entry.outcome),
      entries.map((entry) => entry.status),
      entries.map((entry) => entry.request),
    ],
  );
}

/** Newest first. @param beforeId id of the last entry seen */
export async function listAudit(
  db: Pool,
  query: { limit: number; beforeId: string | null },
): Promise<AuditRow[]> {
  const { rows } = await db.query(
    `SELECT entry.id::text, at, actor, role, action, subject, outcome, status, request
     FROM signalbox.audit AS entry WHERE $1::bigint IS NULL OR entry.id < $1
     ORDER BY entry.id DESC LIMIT $2`,
    [query.beforeId, query.limit],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}
