/**
 * What can be done to a watched server. Each change compares in the same statement or transaction that what the
 * plan saw is still so.
 */
import pg from 'pg';
import { SignalboxError } from '../../domain/errors.ts';
import type { Changed, ConnectionBudget, ServerSession } from '../../domain/levers.ts';
import type { KeptConnection } from './kept-connection.ts';
import { readConnections } from './postgres-sample.ts';

/** A backend's start as text to the microsecond: with the pid it names one session for good. */
const BACKEND_START = `to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const SESSIONS_SQL = `
SELECT pid, ${BACKEND_START} AS "backendStart", coalesce(usename, '') AS role,
       application_name AS application, coalesce(state, '') AS state,
       coalesce(extract(epoch FROM clock_timestamp() - state_change), 0)::float8 AS "stateSeconds",
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS "transactionSeconds",
       CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END AS "blockedBy"
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY backend_start, pid`;

const TERMINATE_SQL = `
SELECT wanted.pid, coalesce(pg_terminate_backend(live.pid), false) AS ended
FROM unnest($1::int[], $2::text[], $3::text[]) AS wanted (pid, backend_start, state)
LEFT JOIN (SELECT pid, ${BACKEND_START} AS backend_start, coalesce(state, '') AS state
           FROM pg_stat_activity
           WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS live
  ON live.pid = wanted.pid AND live.backend_start = wanted.backend_start AND live.state = wanted.state`;

/** Every session but the probe's own, oldest first. */
export function readSessions(connection: KeptConnection): Promise<readonly ServerSession[]> {
  return connection.use(async (client) => (await client.query<ServerSession>(SESSIONS_SQL)).rows);
}

/** Ends the sessions that are still the very same ones in the very same state. */
export function terminateSessions(
  connection: KeptConnection,
  sessions: readonly Pick<ServerSession, 'pid' | 'backendStart' | 'state'>[],
): Promise<{ ended: readonly number[]; changed: readonly number[] }> {
  return connection.use(async (client) => {
    const { rows } = await client.query<{ pid: number; ended: boolean }>(TERMINATE_SQL, [
      sessions.map((session) => session.pid),
      sessions.map((session) => session.backendStart),
      sessions.map((session) => session.state),
    ]);
    return {
      ended: rows.filter((row) => row.ended).map((row) => row.pid),
      changed: rows.filter((row) => !row.ended).map((row) => row.pid),
    };
  });
}

/**
 * Connections that a role may have; −1 is no limit.
 * @throws SignalboxError `not-found`
 */
export function readRoleLimit(connection: KeptConnection, role: string): Promise<number> {
  return connection.use((client) => roleLimit(client, role));
}

async function roleLimit(client: pg.Client, role: string): Promise<number> {
  const { rows } = await client.query<{ rolconnlimit: number }>(
    'SELECT rolconnlimit FROM pg_roles WHERE rolname = $1',
    [role],
  );
  const found = rows[0];
  if (!found) throw new SignalboxError('not-found', `the server has no role ${role}`);
  return found.rolconnlimit;
}

/**
 * Sets a role's limit where it is still `expected`.
 * @throws SignalboxError `not-found`, `guardrail` for the role that the probe itself needs, `invalid-request`
 */
export function changeRoleLimit(
  connection: KeptConnection,
  role: string,
  limit: number,
  expected: number,
): Promise<Changed<{ limit: number }>> {
  if (!Number.isInteger(limit) || limit < -1) {
    throw new SignalboxError('invalid-request', `a connection limit is −1 or more, not ${limit}`);
  }
  return connection.use(async (client) => {
    await client.query('BEGIN');
    try {
      const changed = await compareAndSet(client, role, limit, expected);
      await client.query('COMMIT');
      return changed;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
}

async function compareAndSet(
  client: pg.Client,
  role: string,
  limit: number,
  expected: number,
): Promise<Changed<{ limit: number }>> {
  // Other probes of the same server change limits under this lock as well.
  await client.query("SELECT pg_advisory_xact_lock(hashtext('signalbox role limit'))");
  const { rows } = await client.query<{ own: string }>('SELECT session_user::text AS own');
  if (rows[0]?.own === role) {
    throw new SignalboxError(
      'guardrail',
      `${role} is the probe's own role: it must not lock itself out`,
    );
  }
  const found = await roleLimit(client, role);
  if (found === limit) return { outcome: 'already-so', limit };
  if (found !== expected) return { outcome: 'state-changed', found };
  await client.query(`ALTER ROLE ${pg.escapeIdentifier(role)} CONNECTION LIMIT ${limit}`);
  return { outcome: 'done', limit };
}

/** What may be given out on the server, and what the known pools have been promised. */
export function readBudget(
  connection: KeptConnection,
  server: string,
  pools: ConnectionBudget['pools'],
): Promise<ConnectionBudget> {
  return connection.use(async (client) => {
    const seen = await readConnections(client);
    return {
      server,
      maxConnections: seen.max,
      reserved: seen.reserved,
      committed: pools.reduce((sum, pool) => sum + pool.max * pool.instances, 0),
      open: seen.holders.reduce((sum, holder) => sum + holder.count, 0),
      pools,
    };
  });
}
