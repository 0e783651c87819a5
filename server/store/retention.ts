/** Deletes old incidents and the old end of the audit trail, for rounds of retention. */
import type { Pool } from 'pg';
import type { Deletion } from '../../orchestrator/retention/round.ts';

const INCIDENTS_AT_ONCE = 200;
const AUDIT_AT_ONCE = 5_000;

/** An incident goes with its timeline and its executions in one statement; one that is not resolved stays. */
const DELETE_INCIDENTS = `
  WITH old AS MATERIALIZED (
    SELECT id FROM signalbox.incident WHERE status = 'resolved' AND resolved_at < $1
      AND NOT EXISTS (SELECT FROM signalbox.execution e WHERE e.incident_id = incident.id
                      AND e.status IN ('planned', 'awaiting-approval', 'approved', 'acting', 'verifying'))
    ORDER BY number LIMIT $2 FOR UPDATE
  ), events AS (
    DELETE FROM signalbox.incident_event WHERE incident_id IN (SELECT id FROM old)
  ), executions AS (
    DELETE FROM signalbox.execution WHERE incident_id IN (SELECT id FROM old)
  )
  DELETE FROM signalbox.incident WHERE id IN (SELECT id FROM old)`;

export function ownDeletions(db: Pool): readonly Deletion[] {
  return [
    {
      kind: 'incidents',
      async batch(_cursor, beforeMs) {
        const { rowCount } = await db.query(DELETE_INCIDENTS, [
          new Date(beforeMs),
          INCIDENTS_AT_ONCE,
        ]);
        const deleted = rowCount ?? 0;
        return { deleted, cursor: null, more: deleted === INCIDENTS_AT_ONCE };
      },
    },
    {
      kind: 'audit',
      async batch(_cursor, beforeMs) {
        const { rows } = await db.query<{ deleted: string }>(
          'SELECT signalbox.delete_old_audit($1, $2) AS deleted',
          [new Date(beforeMs), AUDIT_AT_ONCE],
        );
        const deleted = Number(rows[0]?.deleted ?? 0);
        return { deleted, cursor: null, more: deleted === AUDIT_AT_ONCE };
      },
    },
  ];
}
