/** What a PostgreSQL server says of its connections: how many, of whom, since when, and who stands in whose way. */
import type pg from 'pg';
import type { PoolSample } from '../../domain/events.ts';
import type { PoolHolder } from '../../domain/pool.ts';

/** Only who waits for a lock is asked for what blocks it: the question itself takes locks. */
const HOLDERS_SQL = `
SELECT coalesce(usename, '') AS role, application_name AS application, coalesce(state, '') AS state,
       count(*)::int AS count,
       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 AS oldest,
       count(*) FILTER (WHERE CASE WHEN wait_event_type = 'Lock'
                                   THEN cardinality(pg_blocking_pids(pid)) > 0 END)::int AS blocked
FROM pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY 1, 2, 3
ORDER BY count DESC, role, application, state`;

const LIMITS_SQL = `
SELECT current_setting('max_connections')::int AS max,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved`;

/** Connections of a server at a moment. */
export interface ServerConnections {
  readonly max: number;
  readonly reserved: number;
  readonly holders: readonly PoolHolder[];
}

/** Reads limits and holders. */
export async function readConnections(connection: pg.Client): Promise<ServerConnections> {
  const limits = await connection.query<{ max: number; reserved: number }>(LIMITS_SQL);
  const holders = await connection.query<HolderRow>(HOLDERS_SQL);
  return {
    max: limits.rows[0]?.max ?? 0,
    reserved: limits.rows[0]?.reserved ?? 0,
    holders: holders.rows.map((row) => ({
      role: row.role,
      application: row.application,
      state: row.state,
      count: row.count,
      oldestTransactionSeconds: Math.round(row.oldest * 1_000) / 1_000,
      blockedBy: row.blocked,
    })),
  };
}

interface HolderRow {
  readonly role: string;
  readonly application: string;
  readonly state: string;
  readonly count: number;
  readonly oldest: number;
  readonly blocked: number;
}

/** As a sample: idle connections are idle, all others used; those that wait for a lock are waiting. */
export function toSample(server: string, at: number, seen: ServerConnections): PoolSample {
  let idle = 0;
  let open = 0;
  let waiting = 0;
  for (const holder of seen.holders) {
    open += holder.count;
    waiting += holder.blockedBy;
    if (holder.state === 'idle') idle += holder.count;
  }
  return {
    at,
    pool: server,
    kind: 'postgres-server',
    instance: server,
    server,
    used: open - idle,
    idle,
    waiting,
    max: seen.max,
    reserved: seen.reserved,
    timeouts: 0,
    holders: JSON.stringify(seen.holders),
  };
}
