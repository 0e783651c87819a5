/** Gates in front of tasks (`limits/gates.ts`): who waits at them is let through as far as there is room. */
import { textArray } from './columns.ts';
import type { Tx } from './connection.ts';

const TAKE_DUE = `
  WITH due AS MATERIALIZED (
    SELECT id FROM signalbox.gate_due ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
  DELETE FROM signalbox.gate_due g USING due WHERE g.id = due.id RETURNING g.gate`;

/** Gates that somebody should look at; who takes them looks in the same transaction. */
export async function takeDueGates(tx: Tx, limit: number): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(TAKE_DUE, [limit]);
  return rows.map(([gate]) => gate);
}

const LOCK = `
  SELECT pg_advisory_xact_lock(n) FROM (
    SELECT DISTINCT hashtextextended(gate, 12) AS n FROM unnest($1::text[]) AS g (gate) ORDER BY n) AS numbers`;

/** The room is counted before, for each gate, by an index; so who waits is read only as far as it may pass. */
const ADMIT = `
  WITH passing AS MATERIALIZED (
    SELECT w.run_id, w.task
    FROM unnest($1::text[]) AS g (name)
    CROSS JOIN LATERAL (
      SELECT t.gate_limits[cardinality(coalesce(t.gates_held, '{}')) + 1] AS most FROM signalbox.task_live t
      WHERE t.state = 6 AND t.gate = g.name ORDER BY t.priority DESC, t.ready_at LIMIT 1) f
    CROSS JOIN LATERAL (
      SELECT count(*) AS count FROM signalbox.task_live h
      WHERE h.gates_held IS NOT NULL AND h.gates_held @> ARRAY[g.name]) used
    CROSS JOIN LATERAL (
      SELECT t.run_id, t.task FROM signalbox.task_live t
      WHERE t.state = 6 AND t.gate = g.name ORDER BY t.priority DESC, t.ready_at
      LIMIT greatest(0, f.most - used.count) FOR UPDATE SKIP LOCKED) w)
  UPDATE signalbox.task_live t SET gates_held = coalesce(t.gates_held, '{}') || t.gate, state = 1
  FROM passing p WHERE t.run_id = p.run_id AND t.task = p.task
  RETURNING t.queue, t.gate`;

/**
 * Lets tasks pass these gates. Exact, however many servers do it at once: each gate has one at a time, and whoever
 * leaves it only makes room.
 * @returns queues in which tasks became ready, and whether some went on to their next gate
 */
export async function admit(
  tx: Tx,
  gates: readonly string[],
): Promise<{ queues: readonly string[]; further: boolean }> {
  await tx.execute(LOCK, [textArray(gates)]);
  const rows = await tx.rows<readonly [string, string | null]>(ADMIT, [textArray(gates)]);
  return {
    queues: [...new Set(rows.flatMap(([queue, gate]) => (gate === null ? queue : [])))],
    further: rows.some(([, gate]) => gate !== null),
  };
}

const SWEEP = `
  WITH RECURSIVE waiting AS (
    (SELECT gate FROM signalbox.task_live WHERE state = 6 ORDER BY gate LIMIT 1)
    UNION ALL
    SELECT (SELECT t.gate FROM signalbox.task_live t WHERE t.state = 6 AND t.gate > w.gate ORDER BY t.gate LIMIT 1)
    FROM waiting w WHERE w.gate IS NOT NULL)
  INSERT INTO signalbox.gate_due (gate) SELECT gate FROM waiting WHERE gate IS NOT NULL`;

/** Every gate that somebody waits at is looked at again. */
export async function sweepGates(tx: Tx): Promise<void> {
  await tx.execute(SWEEP, []);
}

/** Whether there are gates to look at. */
export async function hasDueGates(tx: Tx): Promise<boolean> {
  const rows = await tx.rows('SELECT 1 FROM signalbox.gate_due LIMIT 1');
  return rows.length > 0;
}
