/** Rows of `run_live`: the runs that have not ended. Whoever changes one holds its lock; many are locked in id order. */
import type { RunError, RunState } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { byteaText, jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface LiveRun {
  readonly runId: string;
  readonly state: RunState;
  readonly tasks: Uint8Array;
  readonly startedAt: EpochMs | null;
  readonly error: RunError | null;
  readonly cancelReason: string | null;
  /** Whether nothing new may start. */
  readonly paused: boolean;
}

const LOCK = `
  SELECT run_id, state, tasks, (extract(epoch FROM started_at) * 1000)::float8, error, cancel_reason,
         paused_at IS NOT NULL
  FROM signalbox.run_live WHERE run_id = ANY($1::uuid[]) ORDER BY run_id FOR UPDATE`;

/** Locks these runs in id order. Runs that have ended are missing. */
export async function lockLiveRuns(
  tx: Tx,
  runIds: Iterable<string>,
): Promise<Map<string, LiveRun>> {
  const rows = await tx.rows<
    readonly [string, RunState, Buffer, number | null, RunError | null, string | null, boolean]
  >(LOCK, [plainArray([...runIds])]);
  return new Map(
    rows.map(([runId, state, tasks, startedAt, error, cancelReason, paused]) => [
      runId,
      { runId, state, tasks, startedAt, error, cancelReason, paused },
    ]),
  );
}

/** What a live run has become. */
export interface LiveRunChange {
  readonly runId: string;
  readonly state: RunState;
  readonly tasks: Uint8Array;
  readonly error: RunError | null;
}

const UPDATE = `
  UPDATE signalbox.run_live r
  SET state = c.state, tasks = c.tasks, error = c.error,
      started_at = coalesce(r.started_at, statement_timestamp())
  FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::jsonb[]) AS c (run_id, state, tasks, error)
  WHERE r.run_id = c.run_id`;

/** Stores changes of runs that go on; they count as started. */
export async function updateLiveRuns(tx: Tx, changes: readonly LiveRunChange[]): Promise<void> {
  if (changes.length === 0) return;
  await tx.execute(UPDATE, [
    plainArray(changes.map(({ runId }) => runId)),
    plainArray(changes.map(({ state }) => state)),
    textArray(changes.map(({ tasks }) => byteaText(tasks))),
    textArray(changes.map(({ error }) => jsonText(error))),
  ]);
}

/** How a run ended. */
export interface RunEnd {
  readonly runId: string;
  readonly state: Extract<RunState, 'succeeded' | 'failed' | 'cancelled' | 'skipped'>;
  readonly startedAt: EpochMs | null;
  readonly error: RunError | null;
  readonly result: unknown;
  /** How each task ended; null where all succeeded. */
  readonly tasks: Uint8Array | null;
}

const DELETE = `DELETE FROM signalbox.run_live WHERE run_id = ANY($1::uuid[])`;
const END = `
  UPDATE signalbox.run r
  SET state = e.state, started_at = coalesce(r.started_at, to_timestamp(e.started_ms / 1000)),
      finished_at = to_timestamp($1::float8 / 1000), error = e.error, result = e.result, tasks = e.tasks
  FROM unnest($2::uuid[], $3::text[], $4::float8[], $5::jsonb[], $6::jsonb[], $7::bytea[])
    AS e (id, state, started_ms, error, result, tasks)
  WHERE r.id = e.id`;

/** Moves runs out of `run_live`; the caller holds their locks. */
export async function endRuns(tx: Tx, ends: readonly RunEnd[], now: EpochMs): Promise<void> {
  if (ends.length === 0) return;
  const ids = plainArray(ends.map(({ runId }) => runId));
  await Promise.all([
    tx.execute(DELETE, [ids]),
    tx.execute(END, [
      now,
      ids,
      plainArray(ends.map(({ state }) => state)),
      plainArray(ends.map(({ startedAt }) => startedAt)),
      textArray(ends.map(({ error }) => jsonText(error))),
      textArray(ends.map(({ result }) => jsonText(result))),
      textArray(ends.map(({ tasks }) => (tasks === null ? null : byteaText(tasks)))),
    ]),
  ]);
}
