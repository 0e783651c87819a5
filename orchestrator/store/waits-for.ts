/** What stands in the way of ready tasks of a run: one read of all that may, for who asks why nothing starts. */
import type { Tx } from './connection.ts';

/** A task of the run that is ready and does not run. */
export interface ReadyRow {
  readonly task: number;
  readonly queue: string;
  readonly pool: string | null;
  readonly pool_slots: number;
  readonly labels: string[] | null;
  /** The gate that it waits at, how many may hold it, and who holds it: the first of them, and their number. */
  readonly gate: string | null;
  readonly most: number | null;
  readonly holder: string | null;
  readonly holders: number;
  readonly since: Date;
}

const MAX_READY = 2_000;

export function readReady(db: Tx, runId: string): Promise<ReadyRow[]> {
  return db.query<ReadyRow>(
    `SELECT t.task, t.queue, t.pool, t.pool_slots, t.labels, t.gate, t.ready_at AS since,
            CASE WHEN t.gate IS NOT NULL THEN t.gate_limits[cardinality(coalesce(t.gates_held, '{}')) + 1] END AS most,
            h.holder, coalesce(h.holders, 0) AS holders
     FROM signalbox.task_live t LEFT JOIN LATERAL (
       SELECT min(g.run_id::text) AS holder, count(*)::int AS holders FROM signalbox.task_live g
       WHERE t.gate IS NOT NULL AND g.gates_held IS NOT NULL AND g.gates_held @> ARRAY[t.gate]) h ON true
     WHERE t.run_id = $1 AND t.state IN (1, 6, 7) LIMIT ${MAX_READY}`,
    [runId],
  );
}

/** A queue, or `*` for all of them. */
export interface QueueLimits {
  readonly name: string;
  readonly paused: boolean;
  readonly concurrency: number | null;
  readonly running: number | null;
  readonly rate_count: number | null;
  readonly rate_per_ms: number | null;
  /** Starts that its rate lets now. */
  readonly tokens: number | null;
}

export function readQueueLimits(db: Tx, names: readonly string[]): Promise<QueueLimits[]> {
  return db.query<QueueLimits>(
    `SELECT l.name, l.paused, l.concurrency, l.rate_count, l.rate_per_ms,
            CASE WHEN l.concurrency IS NOT NULL THEN (
              SELECT count(*)::int FROM signalbox.task_live r
              WHERE r.state = 2 AND (l.name = '*' OR r.queue = l.name)) END AS running,
            least(l.rate_count, coalesce(l.rate_tokens, l.rate_count)
              + extract(epoch FROM clock_timestamp() - coalesce(l.rate_at, clock_timestamp())) * 1000
                * l.rate_count / l.rate_per_ms)::float8 AS tokens
     FROM signalbox.queue l WHERE l.name = ANY($1::text[]) OR l.name = '*'`,
    [names],
  );
}

export function readPoolUse(
  db: Tx,
  names: readonly string[],
): Promise<{ name: string; max: number; used: number }[]> {
  return db.query(
    `SELECT p.name, p.max, (
       SELECT coalesce(sum(t.pool_slots), 0)::int FROM signalbox.task_live t
       WHERE t.pool = p.name AND t.pool IS NOT NULL AND t.state = 2) AS used
     FROM signalbox.pool p WHERE p.kind = 'task-slots' AND p.name = ANY($1::text[])`,
    [names],
  );
}

/** Live agents that serve one of the queues. */
export function readServing(
  db: Tx,
  names: readonly string[],
): Promise<{ queues: string[]; labels: string[] | null; definitions: string | null }[]> {
  return db.query(
    `SELECT DISTINCT queues, labels, definitions FROM signalbox.agent_session
     WHERE state = 'live' AND lease_expires_at > clock_timestamp() AND queues && $1::text[]`,
    [names],
  );
}
