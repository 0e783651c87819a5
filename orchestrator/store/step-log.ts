/** Rows of `step_log`: durable steps of flows. The first record under a key stays. */
import type { StepRecord } from '../../domain/agent-protocol.ts';
import type { RunError } from '../../domain/run.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface StepRow {
  readonly key: string;
  readonly state: 'succeeded' | 'failed';
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly result: unknown;
  readonly error: RunError | null;
}

/** Recorded steps in the order of their ends. */
export function readSteps(db: Tx, runId: string): Promise<StepRow[]> {
  return db.query<StepRow>(
    `SELECT key, state, started_at AS "startedAt", finished_at AS "finishedAt", result, error
     FROM signalbox.step_log WHERE run_id = $1 ORDER BY finished_at, key`,
    [runId],
  );
}

/** One recorded step; undefined where there is none of this key. */
export async function readStep(
  db: Tx,
  runId: string,
  key: string,
): Promise<{ state: string; result: unknown } | undefined> {
  const [row] = await db.query<{ state: string; result: unknown }>(
    'SELECT state, result FROM signalbox.step_log WHERE run_id = $1 AND key = $2',
    [runId, key],
  );
  return row;
}

const HOLDING = `
  SELECT e.place::int
  FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS e (run_id, token, place)
  CROSS JOIN LATERAL (
    SELECT FROM signalbox.task_live t
    WHERE t.run_id = e.run_id AND t.token = e.token FOR SHARE) t`;

/** Which of these tokens hold a task of their run now; nobody takes it away before the transaction ends. */
export async function findHolding(
  tx: Tx,
  held: readonly { runId: string; token: string }[],
): Promise<ReadonlySet<number>> {
  const rows = await tx.rows<readonly [number]>(HOLDING, [
    plainArray(held.map(({ runId }) => runId)),
    plainArray(held.map(({ token }) => token)),
  ]);
  return new Set(rows.map(([place]) => place - 1));
}

const INSERT = `
  INSERT INTO signalbox.step_log (run_id, key, state, started_at, finished_at, result, error)
  SELECT run_id, key, state, to_timestamp(started_ms / 1000), to_timestamp(finished_ms / 1000), result, error
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::jsonb[], $7::jsonb[])
    AS s (run_id, key, state, started_ms, finished_ms, result, error)
  ON CONFLICT (run_id, key) DO NOTHING
  RETURNING run_id, key`;

/** Records steps. @returns `run key` of those that were new */
export async function insertSteps(
  tx: Tx,
  steps: readonly StepRecord[],
): Promise<ReadonlySet<string>> {
  if (steps.length === 0) return new Set();
  const rows = await tx.rows<readonly [string, string]>(INSERT, [
    plainArray(steps.map(({ runId }) => runId)),
    textArray(steps.map(({ key }) => key)),
    plainArray(steps.map(({ state }) => state)),
    plainArray(steps.map(({ startedAt }) => startedAt)),
    plainArray(steps.map(({ finishedAt }) => finishedAt)),
    textArray(steps.map(({ result }) => jsonText(result))),
    textArray(steps.map(({ error }) => jsonText(error))),
  ]);
  return new Set(rows.map(([runId, key]) => `${runId} ${key}`));
}
