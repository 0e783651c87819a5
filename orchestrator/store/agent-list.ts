/** Agents as lists show them: the newest session of each name, judged by its last heartbeat. */
import type { Agent, AgentState } from '../../domain/agent.ts';
import type { Tx } from './connection.ts';
import { HELD_COUNT } from './held.ts';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly state: AgentState;
  readonly queues: string[];
  readonly concurrency: number;
  readonly running: number;
  readonly labels: string[] | null;
  readonly started_at: Date;
  readonly last_heartbeat_at: Date;
  readonly lease_expires_at: Date;
}

/** Ended sessions stay in the list for so long. */
const SHOWN_AFTER_END = '1 day';
const MAX_LISTED = 10_000;

/**
 * Live sessions, and ended ones that no newer session of the name replaced. A live one is `late` once two thirds
 * of its lease have gone by without a heartbeat, and `lost` when all of it has.
 */
const SELECT = `
  SELECT s.public_id AS id, s.name,
         CASE WHEN s.state <> 'live' THEN s.state
              WHEN s.lease_expires_at < clock_timestamp() THEN 'lost'
              WHEN clock_timestamp() - s.last_heartbeat_at
                   > (s.lease_expires_at - s.last_heartbeat_at) * 2 / 3 THEN 'late'
              ELSE 'online' END AS state,
         s.queues, s.concurrency,
         (SELECT count(*) FROM signalbox.task_live t WHERE t.session_id = s.id AND t.state = 2)::int
           + (SELECT coalesce(sum(${HELD_COUNT}), 0) FROM signalbox.run_live l WHERE l.holder = s.id)::int AS running, s.labels,
         s.started_at, s.last_heartbeat_at, s.lease_expires_at
  FROM signalbox.agent_session s
  WHERE (s.state = 'live' OR (
          s.ended_at > clock_timestamp() - interval '${SHOWN_AFTER_END}'
          AND NOT EXISTS (
            SELECT FROM signalbox.agent_session n WHERE n.name = s.name AND n.id > s.id)))
    AND ($1::uuid IS NULL OR s.public_id = $1::uuid)
  ORDER BY s.name, s.id DESC LIMIT ${MAX_LISTED}`;

/** @param publicId only this one */
export async function listAgents(db: Tx, publicId: string | null = null): Promise<Agent[]> {
  const rows = await db.query<Row>(SELECT, [publicId]);
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    queues: row.queues,
    concurrency: row.concurrency,
    running: row.running,
    labels: Object.fromEntries((row.labels ?? []).map((label) => label.split('=', 2))),
    startedAt: row.started_at.toISOString(),
    lastHeartbeatAt: row.last_heartbeat_at.toISOString(),
    leaseExpiresAt: row.lease_expires_at.toISOString(),
  }));
}
