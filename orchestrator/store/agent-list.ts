/** Agents as lists show them: the newest session of each name, judged by its last heartbeat. */
import type { Agent, AgentState } from '../../domain/agent.ts';
import type { Tx } from './connection.ts';
import { HELD_COUNT } from './held.ts';

interface Row {
  readonly number: string;
  readonly id: string;
  readonly name: string;
  readonly state: AgentState;
  readonly queues: string[];
  readonly concurrency: number;
  readonly labels: string[] | null;
  readonly started_at: Date;
  readonly last_heartbeat_at: Date;
  readonly lease_expires_at: Date;
}

/** Ended sessions stay in the list for so long. */
const SHOWN_AFTER_END = '1 day';
const MAX_LISTED = 10_000;

/** A live one is `late` once two thirds of its lease have gone by without a heartbeat, and `lost` when all of it has. */
const COLUMNS = `
  s.id AS number, s.public_id AS id, s.name,
  CASE WHEN s.state <> 'live' THEN s.state
       WHEN s.lease_expires_at < clock_timestamp() THEN 'lost'
       WHEN clock_timestamp() - s.last_heartbeat_at
            > (s.lease_expires_at - s.last_heartbeat_at) * 2 / 3 THEN 'late'
       ELSE 'online' END AS state,
  s.queues, s.concurrency, s.labels, s.started_at, s.last_heartbeat_at, s.lease_expires_at`;

/** Live sessions, and ended ones that no newer session of the name replaced; each part through an index of its own. */
const SELECT = `
  SELECT ${COLUMNS} FROM signalbox.agent_session s
  WHERE s.state = 'live' AND ($1::uuid IS NULL OR s.public_id = $1::uuid)
  UNION ALL
  SELECT ${COLUMNS} FROM (
    SELECT DISTINCT ON (name) * FROM signalbox.agent_session
    WHERE ended_at > now() - interval '${SHOWN_AFTER_END}' AND ($1::uuid IS NULL OR public_id = $1::uuid)
    ORDER BY name, id DESC) s
  WHERE s.state <> 'live'
    AND NOT EXISTS (SELECT FROM signalbox.agent_session n WHERE n.name = s.name AND n.id > s.id)
  ORDER BY name, number DESC LIMIT ${MAX_LISTED}`;

/** Tasks that sessions run: those with rows, and those that stand packed in runs. */
const RUNNING = `
  SELECT session_id AS number, count(*)::int AS count FROM signalbox.task_live
  WHERE state = 2 AND session_id IS NOT NULL GROUP BY 1
  UNION ALL
  SELECT holder, sum(${HELD_COUNT})::int FROM signalbox.run_live l WHERE holder IS NOT NULL GROUP BY 1`;

/** @param publicId only this one */
export async function listAgents(db: Tx, publicId: string | null = null): Promise<Agent[]> {
  const [rows, counts] = await Promise.all([
    db.query<Row>(SELECT, [publicId]),
    db.query<{ number: string; count: number }>(RUNNING),
  ]);
  const running = new Map<string, number>();
  for (const { number, count } of counts) running.set(number, (running.get(number) ?? 0) + count);
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    queues: row.queues,
    concurrency: row.concurrency,
    running: running.get(row.number) ?? 0,
    labels: Object.fromEntries((row.labels ?? []).map((label) => label.split('=', 2))),
    startedAt: row.started_at.toISOString(),
    lastHeartbeatAt: row.last_heartbeat_at.toISOString(),
    leaseExpiresAt: row.lease_expires_at.toISOString(),
  }));
}
