/** Task-slot pools and ceilings; client pools as the sessions of live agents report them. */
import { textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface PoolRow {
  readonly name: string;
  readonly kind: 'task-slots' | 'postgres-client';
  readonly max: number;
  readonly server: string | null;
}

export function readPools(db: Tx): Promise<PoolRow[]> {
  return db.query<PoolRow>('SELECT name, kind, max, server FROM signalbox.pool ORDER BY name');
}

/** Slots of running tasks, and tasks that are ready, by pool; each half has an index of its own. */
export function readSlotUse(db: Tx): Promise<{ pool: string; used: number; waiting: number }[]> {
  return db.query(
    `SELECT pool, sum(used)::int AS used, sum(waiting)::int AS waiting FROM (
       SELECT pool, sum(pool_slots) AS used, 0 AS waiting FROM signalbox.task_live
       WHERE state = 2 AND pool IS NOT NULL GROUP BY pool
       UNION ALL
       SELECT pool, 0, count(*) FROM signalbox.task_live
       WHERE state = 1 AND pool IS NOT NULL GROUP BY pool) AS counted
     GROUP BY pool`,
  );
}

/** A client pool, summed over the live agents that have one of the name. */
export interface ClientPoolRow {
  readonly name: string;
  readonly server: string | null;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  /** Of one agent's pool, the largest where they differ. */
  readonly max: number;
  readonly instances: number;
  readonly at: Date;
}

export function readClientPools(db: Tx): Promise<ClientPoolRow[]> {
  return db.query<ClientPoolRow>(
    `SELECT p.name, max(p.server) AS server, sum(p.used)::int AS used, sum(p.idle)::int AS idle,
            sum(p.waiting)::int AS waiting, max(p.max)::int AS max, count(*)::int AS instances,
            max(s.last_heartbeat_at) AS at
     FROM signalbox.agent_session s,
          jsonb_to_recordset(s.pools) AS p (
            name text, server text, used int, idle int, waiting int, max int)
     WHERE s.state = 'live' AND p.name IS NOT NULL
     GROUP BY p.name ORDER BY p.name`,
  );
}

/** Server of a client pool that some agent reported since a moment, even if it is gone; undefined where none did. */
export async function findClientPool(
  db: Tx,
  name: string,
  since: Date,
): Promise<{ server: string | null } | undefined> {
  const [row] = await db.query<{ server: string | null }>(
    `SELECT p.server
     FROM signalbox.agent_session s, jsonb_to_recordset(s.pools) AS p (name text, server text)
     WHERE s.last_heartbeat_at > $2 AND p.name = $1
     ORDER BY s.id DESC LIMIT 1`,
    [name, since],
  );
  return row;
}

/** Sets which pools the tasks of these workflows name, in place of what was known of them. */
export async function replaceNamedPools(
  tx: Tx,
  workflows: readonly { readonly name: string; readonly pools: readonly string[] }[],
): Promise<void> {
  const rows = workflows.flatMap(({ name, pools }) => pools.map((pool) => [name, pool] as const));
  const names = textArray(workflows.map(({ name }) => name));
  await tx.execute('DELETE FROM signalbox.pool_named WHERE workflow = ANY($1::text[])', [names]);
  if (rows.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.pool_named (workflow, pool) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT DO NOTHING`,
    [textArray(rows.map(([name]) => name)), textArray(rows.map(([, pool]) => pool))],
  );
}

/** A pool that workflows name and nobody created. */
export interface UncreatedPool {
  readonly pool: string;
  /** The first of them by name. */
  readonly workflows: readonly string[];
}

/** @param names pools that are asked for; all unless told */
export function readUncreatedPools(db: Tx, names?: readonly string[]): Promise<UncreatedPool[]> {
  return db.query<UncreatedPool>(
    `SELECT n.pool, (array_agg(n.workflow ORDER BY n.workflow))[:20] AS workflows
     FROM signalbox.pool_named n
     WHERE ($1::text[] IS NULL OR n.pool = ANY($1::text[]))
       AND NOT EXISTS (SELECT FROM signalbox.pool p WHERE p.name = n.pool AND p.kind = 'task-slots')
     GROUP BY n.pool ORDER BY n.pool`,
    [names === undefined ? null : textArray(names)],
  );
}

export async function upsertPool(
  tx: Tx,
  of: PoolRow & { updatedBy: string; now: Date },
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.pool (name, kind, max, server, updated_at, updated_by)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (name) DO UPDATE SET
       kind = excluded.kind, max = excluded.max, server = coalesce(excluded.server, pool.server),
       updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [of.name, of.kind, of.max, of.server, of.now, of.updatedBy],
  );
}
