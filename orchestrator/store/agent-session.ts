/** Rows of `agent_session`: who may hold tasks, and until when. Leases are judged by the database's clock, the one clock of all servers. */
import type { AgentPoolReport, RegisterRequest } from '../../domain/agent-protocol.ts';
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import { findHeldRuns, findOrphanedRuns, type HeldRun } from './held.ts';

/** A session as dispatch knows it; nothing of it ever changes but what it defines. */
export interface Session {
  readonly id: string;
  readonly publicId: string;
  readonly name: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  /** Sorted `name=value`. */
  readonly labels: readonly string[];
  /** Row of `definition_set`; null where that was not told. */
  readonly definitionSet: string | null;
}

interface SessionRow {
  readonly id: string;
  readonly public_id: string;
  readonly name: string;
  readonly queues: string[];
  readonly concurrency: number;
  readonly labels: string[] | null;
  readonly definitions: string | null;
}

const COLUMNS = 'id, public_id, name, queues, concurrency, labels, definitions';

function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    publicId: row.public_id,
    name: row.name,
    queues: row.queues,
    concurrency: row.concurrency,
    labels: row.labels ?? [],
    definitionSet: row.definitions,
  };
}

/** Opens a session with a lease from now on. */
export async function insertSession(
  db: Tx,
  publicId: string,
  request: Pick<RegisterRequest, 'name' | 'queues' | 'concurrency' | 'version' | 'labels'>,
  leaseMs: number,
  definitionSet: string,
): Promise<Session> {
  const labels = Object.entries(request.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  labels.sort();
  const [row] = await db.query<SessionRow>(
    `INSERT INTO signalbox.agent_session (
       public_id, name, queues, concurrency, version, labels, definitions, started_at, last_heartbeat_at, lease_expires_at)
     VALUES ($1, $2, $3, $4, $5, $7, $8, clock_timestamp(), clock_timestamp(),
             clock_timestamp() + make_interval(secs => $6::float8 / 1000))
     RETURNING ${COLUMNS}`,
    [
      ...[publicId, request.name, request.queues, request.concurrency, request.version, leaseMs],
      ...[labels.length === 0 ? null : labels, definitionSet],
    ],
  );
  if (!row) throw new Error('the session was not stored');
  return toSession(row);
}

/** A session that has not ended; undefined for any other. */
export async function findLiveSession(db: Tx, publicId: string): Promise<Session | undefined> {
  const [row] = await db.query<SessionRow>(
    `SELECT ${COLUMNS} FROM signalbox.agent_session WHERE public_id = $1 AND state = 'live'`,
    [publicId],
  );
  return row && toSession(row);
}

/** Those of the sessions that may be handed tasks: live, and within their lease. */
export async function findHoldingLease(
  tx: Tx,
  sessionIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (sessionIds.length === 0) return new Set();
  const rows = await tx.rows<readonly [string]>(
    `SELECT id FROM signalbox.agent_session
     WHERE id = ANY($1::bigint[]) AND state = 'live' AND lease_expires_at > clock_timestamp()`,
    [plainArray(sessionIds)],
  );
  return new Set(rows.map(([id]) => id));
}

export interface Beat {
  readonly sessionId: string;
  readonly running: number;
  readonly pools: readonly AgentPoolReport[];
}

const BEAT = `
  UPDATE signalbox.agent_session s
  SET last_heartbeat_at = clock_timestamp(), running = b.running, pools = b.pools,
      lease_expires_at = clock_timestamp() + make_interval(secs => $1::float8 / 1000)
  FROM unnest($2::bigint[], $3::int[], $4::jsonb[]) AS b (id, running, pools)
  WHERE s.id = b.id AND s.state = 'live'
  RETURNING s.id`;

/** Renews leases. @returns ids of the sessions that are still live */
export async function renewLeases(
  tx: Tx,
  beats: readonly Beat[],
  leaseMs: number,
): Promise<ReadonlySet<string>> {
  const ordered = [...beats].sort((a, b) => Number(a.sessionId) - Number(b.sessionId));
  const rows = await tx.rows<readonly [string]>(BEAT, [
    leaseMs,
    plainArray(ordered.map(({ sessionId }) => sessionId)),
    plainArray(ordered.map(({ running }) => running)),
    textArray(ordered.map(({ pools }) => JSON.stringify(pools))),
  ]);
  return new Set(rows.map(([id]) => id));
}

export interface HeldTask {
  readonly runId: string;
  readonly task: number;
  readonly token: string;
  readonly sessionId: string;
  readonly agent: string;
  readonly reason: string | null;
}

const HELD_COLUMNS = `
  t.run_id AS "runId", t.task, t.token, t.session_id AS "sessionId", s.name AS agent, t.cancel_reason AS reason`;
const HELD_FROM =
  'FROM signalbox.task_live t LEFT JOIN signalbox.agent_session s ON s.id = t.session_id';

/** How long an agent is told of an assignment that was taken away from it. */
const REVOKED_TOLD = `interval '10 minutes'`;

const CANCELLING = `
  SELECT t.run_id AS "runId", t.task, t.token, t.session_id AS "sessionId", '' AS agent,
         t.cancel_reason AS reason
  FROM signalbox.task_live t
  WHERE t.session_id = ANY($1::bigint[]) AND t.cancel_reason IS NOT NULL AND t.state = 2
  UNION ALL
  SELECT r.run_id, r.task, r.token, r.session_id, '', r.reason
  FROM signalbox.task_revoked r
  WHERE r.session_id = ANY($1::bigint[]) AND r.at > clock_timestamp() - ${REVOKED_TOLD}`;

/** Tasks of these sessions that are to be cancelled, and those that were taken away while they ran. */
export function findCancelling(tx: Tx, sessionIds: readonly string[]): Promise<HeldTask[]> {
  return tx.query<HeldTask>(CANCELLING, [plainArray(sessionIds)]);
}

/** What sessions hold for longer than `minAgeMs`. */
export async function findHeld(
  tx: Tx,
  sessionIds: readonly string[],
  minAgeMs: number,
): Promise<HeldTask[]> {
  const [runs, rows] = await Promise.all([
    findHeldRuns(tx, sessionIds, minAgeMs),
    findHeldRows(tx, sessionIds, minAgeMs),
  ]);
  return [...rows, ...runs.flatMap(tasksOf)];
}

function tasksOf({ runId, sessionId, agent, entries }: HeldRun): HeldTask[] {
  return [...entries.values()].map(({ task, token }) => ({
    ...{ runId, task, token, sessionId, agent },
    reason: null,
  }));
}

function findHeldRows(
  tx: Tx,
  sessionIds: readonly string[],
  minAgeMs: number,
): Promise<HeldTask[]> {
  return tx.query<HeldTask>(
    `SELECT ${HELD_COLUMNS} ${HELD_FROM}
     WHERE t.session_id = ANY($1::bigint[]) AND t.state = 2
       AND t.started_at <= clock_timestamp() - make_interval(secs => $2::float8 / 1000)`,
    [plainArray(sessionIds), minAgeMs],
  );
}

/**
 * Ends live sessions whose lease is over; a heartbeat that comes later is told so.
 * @param sessionId only this one
 */
export async function loseSessions(tx: Tx, sessionId: string | null): Promise<string[]> {
  const rows = await tx.query<{ name: string }>(
    `UPDATE signalbox.agent_session SET state = 'lost', ended_at = clock_timestamp(), running = 0
     WHERE state = 'live' AND lease_expires_at < clock_timestamp()
       AND ($1::bigint IS NULL OR id = $1::bigint)
     RETURNING name`,
    [sessionId],
  );
  return rows.map(({ name }) => name);
}

/** A clean end. @returns whether the session was live */
export async function stopSession(tx: Tx, sessionId: string): Promise<boolean> {
  const count = await tx.execute(
    `UPDATE signalbox.agent_session SET state = 'stopped', ended_at = clock_timestamp(), running = 0
     WHERE id = $1 AND state = 'live'`,
    [sessionId],
  );
  return count > 0;
}

/** The session's process is known to be gone. @returns whether the session was live */
export async function loseSession(tx: Tx, sessionId: string): Promise<boolean> {
  const count = await tx.execute(
    `UPDATE signalbox.agent_session SET state = 'lost', ended_at = clock_timestamp(), running = 0
     WHERE id = $1 AND state = 'live'`,
    [sessionId],
  );
  return count > 0;
}

const DELETE_OLD = `
  DELETE FROM signalbox.agent_session WHERE id IN (
    SELECT s.id FROM signalbox.agent_session s
    WHERE s.state <> 'live' AND s.ended_at < clock_timestamp() - $2 * interval '1 millisecond'
      AND NOT EXISTS (SELECT FROM signalbox.task_live t WHERE t.session_id = s.id AND t.state = 2)
      AND NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.holder = s.id)
    LIMIT $1)`;

/** Deletes sessions that ended long ago and hold nothing any more. @returns how many */
export function deleteOldSessions(tx: Tx, keepMs: number, limit: number): Promise<number> {
  return tx.execute(DELETE_OLD, [limit, keepMs]);
}

/**
 * Tasks in the hands of sessions that have ended, or are not there at all. The holders are found by hopping
 * through the index, one step a session, so that it costs nothing how much each holds.
 */
const ORPHANED = `
  WITH RECURSIVE holder AS (
    (SELECT session_id FROM signalbox.task_live WHERE state = 2 ORDER BY session_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.session_id FROM signalbox.task_live t
            WHERE t.state = 2 AND t.session_id > h.session_id ORDER BY t.session_id LIMIT 1)
    FROM holder h WHERE h.session_id IS NOT NULL
  ), ended AS MATERIALIZED (
    SELECT h.session_id FROM holder h
    WHERE h.session_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM signalbox.agent_session s WHERE s.id = h.session_id AND s.state = 'live')
  )
  SELECT ${HELD_COLUMNS} ${HELD_FROM}
  WHERE t.state = 2 AND t.session_id IN (SELECT session_id FROM ended) LIMIT $1`;

/** @param limit rows; a run's row may name many tasks */
export async function findOrphaned(tx: Tx, limit: number): Promise<HeldTask[]> {
  const [rows, runs] = await Promise.all([
    tx.query<HeldTask>(ORPHANED, [limit]),
    findOrphanedRuns(tx, limit),
  ]);
  return [...rows, ...runs.flatMap(tasksOf)];
}
