/** Rows of `task_log`: ended attempts, appended. */
import type { RunError } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { SUCCEEDED } from '../dispatch/task-codes.ts';
import { jsonText, plainArray, plainColumn, textColumn, unlessAll } from './columns.ts';
import type { Tx } from './connection.ts';

export interface LoggedAttempt {
  readonly runId: string;
  readonly task: number;
  readonly attempt: number;
  readonly code: number;
  readonly agent: string;
  readonly token: string;
  readonly readyAt: EpochMs;
  readonly startedAt: EpochMs;
  readonly finishedAt: EpochMs;
  readonly result: unknown;
  readonly error: RunError | null;
}

const INSERT = `
  INSERT INTO signalbox.task_log (
    run_id, task, attempt, state, agent, token, ready_at, started_at, finished_at, result, error)
  SELECT run_id, task, coalesce(attempt, 1::smallint), coalesce(state, 2::smallint), coalesce(agent, $12), token,
         to_timestamp(ready_ms / 1000),
         to_timestamp(started_ms / 1000), to_timestamp(finished_ms / 1000), result, error
  FROM unnest($1::uuid[], $2::int[], $3::smallint[], $4::smallint[], $5::text[], $6::bigint[], $7::float8[],
              $8::float8[], $9::float8[], $10::jsonb[], $11::jsonb[])
    AS e (run_id, task, attempt, state, agent, token, ready_ms, started_ms, finished_ms, result, error)`;

export async function insertAttempts(tx: Tx, attempts: readonly LoggedAttempt[]): Promise<void> {
  if (attempts.length === 0) return;
  const agent = attempts[0]?.agent ?? '';
  await tx.execute(INSERT, [
    plainColumn(attempts, ({ runId }) => runId),
    plainColumn(attempts, ({ task }) => task),
    unlessAll(attempts, ({ attempt }) => attempt, 1, plainColumn),
    unlessAll(attempts, ({ code }) => code, SUCCEEDED, plainColumn),
    unlessAll(attempts, (attempt) => attempt.agent, agent, textColumn),
    plainColumn(attempts, ({ token }) => token),
    plainColumn(attempts, ({ readyAt }) => readyAt),
    plainColumn(attempts, ({ startedAt }) => startedAt),
    plainColumn(attempts, ({ finishedAt }) => finishedAt),
    textColumn(attempts, ({ result }) => jsonText(result)),
    textColumn(attempts, ({ error }) => jsonText(error)),
    agent,
  ]);
}

const FIND_TOKENS = `
  SELECT e.place::int
  FROM unnest($1::uuid[], $2::int[], $3::bigint[]) WITH ORDINALITY AS e (run_id, task, token, place)
  CROSS JOIN LATERAL (
    SELECT FROM signalbox.task_log l
    WHERE l.run_id = e.run_id AND l.task = e.task AND l.token = e.token AND l.state <> 7 LIMIT 1) l`;

/** Which of these assignments ended by a completion before. @returns indexes */
export async function findRecorded(
  tx: Tx,
  held: readonly { runId: string; task: number; token: string }[],
): Promise<ReadonlySet<number>> {
  if (held.length === 0) return new Set();
  const rows = await tx.rows<readonly [number]>(FIND_TOKENS, [
    plainArray(held.map(({ runId }) => runId)),
    plainArray(held.map(({ task }) => task)),
    plainArray(held.map(({ token }) => token)),
  ]);
  return new Set(rows.map(([place]) => place - 1));
}
