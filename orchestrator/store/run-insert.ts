/** New runs and their live rows: one statement for each table, whatever the number of runs. */

import type { EpochMs } from '../../domain/time.ts';
import type { RunRequest } from '../runs/trigger.ts';
import { bytesColumn, jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import { type HeldEntry, packHeld } from './held.ts';

export interface NewRun {
  readonly id: string;
  readonly request: RunRequest;
  readonly businessKey: string;
  /** 'active', or how it ended where it has nothing to do. */
  readonly state: string;
}

const INSERT_RUNS = `
  INSERT INTO signalbox.run (
    id, workflow, version_id, state, parameters, logical_date, interval_start, interval_end, trigger, priority,
    idempotency_key, business_key, parent_run_id, retry_of, traceparent, created_at, finished_at)
  SELECT id, workflow, version_id, state, parameters, to_timestamp(logical_ms / 1000), interval_start,
         interval_end, trigger, priority, idempotency_key, business_key, parent_run_id, retry_of, traceparent,
         to_timestamp($1::float8 / 1000),
         CASE WHEN state <> 'active' THEN to_timestamp($1::float8 / 1000) END
  FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::jsonb[], $7::float8[], $8::timestamptz[],
              $9::timestamptz[], $10::text[], $11::smallint[], $12::text[], $13::text[], $14::uuid[],
              $15::uuid[], $16::text[])
    AS r (id, workflow, version_id, state, parameters, logical_ms, interval_start, interval_end, trigger,
          priority, idempotency_key, business_key, parent_run_id, retry_of, traceparent)
  ON CONFLICT (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
  RETURNING id`;

/** Inserts runs. @returns ids of those that were inserted; the others' idempotency keys had been used */
export async function insertRuns(
  tx: Tx,
  runs: readonly NewRun[],
  now: EpochMs,
): Promise<ReadonlySet<string>> {
  const requests = runs.map((run) => run.request);
  const inserted = await tx.rows<readonly [string]>(INSERT_RUNS, [
    now,
    plainArray(runs.map((run) => run.id)),
    textArray(requests.map((request) => request.workflow)),
    plainArray(requests.map((request) => request.versionId)),
    plainArray(runs.map((run) => run.state)),
    textArray(requests.map((request) => jsonText(request.parameters) ?? '{}')),
    plainArray(requests.map((request) => request.logicalDate ?? null)),
    textArray(requests.map((request) => request.dataInterval?.start ?? null)),
    textArray(requests.map((request) => request.dataInterval?.end ?? null)),
    plainArray(requests.map((request) => request.trigger)),
    plainArray(requests.map((request) => request.priority ?? 0)),
    textArray(requests.map((request) => request.idempotencyKey ?? null)),
    textArray(runs.map((run) => run.businessKey)),
    plainArray(requests.map((request) => request.parentRunId ?? null)),
    plainArray(requests.map((request) => request.retryOf ?? null)),
    textArray(requests.map((request) => request.traceparent ?? null)),
  ]);
  return new Set(inserted.map(([id]) => id));
}

export interface NewLiveRun {
  readonly runId: string;
  readonly workflow: string;
  readonly versionId: string;
  readonly state: 'scheduled' | 'queued' | 'running';
  readonly priority: number;
  /** The vector, as `byteaText` writes it. */
  readonly tasks: string;
  /** Where it begins in the hands of a session. */
  readonly startedAt?: EpochMs;
  readonly holder?: string;
  readonly held?: ReadonlyMap<number, HeldEntry>;
}

const INSERT_LIVE_RUNS = `
  INSERT INTO signalbox.run_live (run_id, workflow, version_id, state, priority, tasks, holder, held, started_at)
  SELECT run_id, workflow, version_id, state, priority, tasks, holder, held, to_timestamp(started_ms / 1000)
  FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::smallint[], $6::bytea[], $7::bigint[],
              $8::bytea[], $9::float8[])
    AS r (run_id, workflow, version_id, state, priority, tasks, holder, held, started_ms)`;

export async function insertLiveRuns(tx: Tx, runs: readonly NewLiveRun[]): Promise<void> {
  if (runs.length === 0) return;
  await tx.execute(INSERT_LIVE_RUNS, [
    plainArray(runs.map((run) => run.runId)),
    textArray(runs.map((run) => run.workflow)),
    plainArray(runs.map((run) => run.versionId)),
    plainArray(runs.map((run) => run.state)),
    plainArray(runs.map((run) => run.priority)),
    textArray(runs.map((run) => run.tasks)),
    plainArray(runs.map((run) => run.holder ?? null)),
    bytesColumn(runs, (run) => (run.held ? packHeld(run.held) : null)),
    plainArray(runs.map((run) => run.startedAt ?? null)),
  ]);
}

const FIND_BY_KEY = `
  SELECT r.workflow, r.idempotency_key, r.id
  FROM unnest($1::text[], $2::text[]) AS k (workflow, key)
  CROSS JOIN LATERAL (
    SELECT id, workflow, idempotency_key FROM signalbox.run
    WHERE workflow = k.workflow AND idempotency_key = k.key) r`;

/** Ids of the runs that were made under these keys first. */
export async function findByIdempotencyKey(
  tx: Tx,
  keys: readonly { workflow: string; key: string }[],
): Promise<{ workflow: string; key: string; id: string }[]> {
  const rows = await tx.rows<readonly [string, string, string]>(FIND_BY_KEY, [
    textArray(keys.map(({ workflow }) => workflow)),
    textArray(keys.map(({ key }) => key)),
  ]);
  return rows.map(([workflow, key, id]) => ({ workflow, key, id }));
}

/** Serializes whoever decides how many runs of these workflows may work at once, until the transaction ends. */
export async function lockActiveRuns(tx: Tx, workflows: readonly string[]): Promise<void> {
  for (const workflow of [...workflows].sort()) {
    await tx.execute(`SELECT pg_advisory_xact_lock(hashtextextended($1, 7))`, [workflow]);
  }
}

/** Unfinished runs of a workflow that are not waiting for room; those of backfills have a limit of their own. */
export async function countActiveRuns(tx: Tx, workflow: string): Promise<number> {
  const [row] = await tx.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM signalbox.run_live l
     WHERE workflow = $1 AND state <> 'scheduled'
       AND NOT EXISTS (SELECT FROM signalbox.backfill_item b WHERE b.run_id = l.run_id)`,
    [workflow],
  );
  return row?.count ?? 0;
}
