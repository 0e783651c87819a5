/**
 * Tables `flow_event` and `flow_wait`, and live tasks that are suspended. An event and a wait that come at the same
 * moment must find each other: both take the lock of the event's name first. An answer and a suspension must not miss
 * each other: both hold the run's lock.
 */
import type { WaitState } from '../../domain/wait.ts';
import { jsonText, plainArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface WaitRow {
  readonly run_id: string;
  readonly key: string;
  readonly kind: 'event' | 'input';
  readonly name: string;
  readonly correlation: string;
  readonly message: string | null;
  readonly schema: Record<string, unknown> | null;
  readonly created_at: Date;
  readonly deadline: Date | null;
  readonly state: WaitState;
  readonly result: unknown;
  readonly answered_at: Date | null;
  readonly answered_by: string | null;
}

const COLUMNS = `
  run_id, key, kind, name, correlation, message, schema, created_at, deadline, state, result, answered_at,
  answered_by`;

/** Serializes who sends an event of the name with who begins to wait for it, until the transaction ends. */
export async function lockEventName(
  tx: Tx,
  scope: { name: string; correlation: string; runId: string | null },
): Promise<void> {
  const text = JSON.stringify([scope.name, scope.runId ?? scope.correlation, scope.runId !== null]);
  await tx.execute('SELECT pg_advisory_xact_lock(hashtextextended($1, 11))', [text]);
}

/** Locks an unfinished run; undefined where it has ended. */
export async function lockLiveRun(
  tx: Tx,
  runId: string,
): Promise<{ cancelling: boolean; paused: boolean } | undefined> {
  const [row] = await tx.query<{ cancelling: boolean; paused: boolean }>(
    `SELECT cancel_reason IS NOT NULL AS cancelling, paused_at IS NOT NULL AS paused
     FROM signalbox.run_live WHERE run_id = $1 FOR UPDATE`,
    [runId],
  );
  return row;
}

export async function insertWait(
  tx: Tx,
  wait: Omit<WaitRow, 'state' | 'result' | 'answered_at' | 'answered_by' | 'deadline'> & {
    readonly timeoutMs: number | null;
  },
): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.flow_wait (
       run_id, key, kind, name, correlation, message, schema, created_at, deadline)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8::timestamptz + make_interval(secs => $9::float8 / 1000))
     ON CONFLICT (run_id, key) DO NOTHING`,
    [
      ...[wait.run_id, wait.key, wait.kind, wait.name, wait.correlation, wait.message],
      ...[jsonText(wait.schema), wait.created_at, wait.timeoutMs],
    ],
  );
}

export async function findWait(tx: Tx, runId: string, key: string): Promise<WaitRow | undefined> {
  const [row] = await tx.query<WaitRow>(
    `SELECT ${COLUMNS} FROM signalbox.flow_wait WHERE run_id = $1 AND key = $2`,
    [runId, key],
  );
  return row;
}

/** Whether a wait of the run is over, and its flow may not know: what it was told of stands in its steps. */
export async function hasUntoldAnswer(tx: Tx, runId: string): Promise<boolean> {
  const rows = await tx.rows(
    `SELECT 1 FROM signalbox.flow_wait w
     WHERE w.run_id = $1 AND w.state <> 'waiting'
       AND NOT EXISTS (SELECT FROM signalbox.step_log s WHERE s.run_id = w.run_id AND s.key = w.key)
     LIMIT 1`,
    [runId],
  );
  return rows.length > 0;
}

/**
 * The oldest event that the run may take and has not taken. One with a correlation, or for this run alone, may be
 * older than the run; any other counts from the run's creation on.
 */
export async function findEventFor(
  tx: Tx,
  wait: Pick<WaitRow, 'run_id' | 'name' | 'correlation'>,
): Promise<{ id: string; body: unknown; sentBy: string } | undefined> {
  const [row] = await tx.query<{ id: string; body: unknown; sentBy: string }>(
    `SELECT e.id, e.body, e.sent_by AS "sentBy"
     FROM signalbox.flow_event e
     WHERE e.name = $2
       AND (e.run_id = $1
         OR (e.run_id IS NULL AND e.correlation = $3
             AND ($3 <> '' OR e.at >= (SELECT created_at FROM signalbox.run WHERE id = $1))))
       AND NOT EXISTS (SELECT FROM signalbox.flow_wait w WHERE w.run_id = $1 AND w.event_id = e.id)
     ORDER BY e.id LIMIT 1`,
    [wait.run_id, wait.name, wait.correlation],
  );
  return row;
}

/** Ends a wait that is still under way. @returns false where it was over */
export async function endWait(
  tx: Tx,
  of: { runId: string; key: string },
  end: { state: WaitState; result: unknown; eventId: string | null; at: Date; by: string | null },
): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE signalbox.flow_wait
     SET state = $3, result = $4, event_id = $5, answered_at = $6, answered_by = $7
     WHERE run_id = $1 AND key = $2 AND state = 'waiting'`,
    [of.runId, of.key, end.state, jsonText(end.result), end.eventId, end.at, end.by],
  );
  return changed > 0;
}

/** Waits of unfinished runs for an event, one a run: its oldest; in the order in which runs are locked. */
export function findWaitsFor(
  tx: Tx,
  event: { name: string; correlation: string; runId: string | null },
): Promise<WaitRow[]> {
  const scope = event.runId === null ? 'w.correlation = $2' : 'w.run_id = $2::uuid';
  return tx.query<WaitRow>(
    `SELECT DISTINCT ON (w.run_id) w.*
     FROM signalbox.flow_wait w JOIN signalbox.run_live l ON l.run_id = w.run_id
     WHERE w.name = $1 AND w.kind = 'event' AND w.state = 'waiting' AND ${scope}
     ORDER BY w.run_id, w.created_at, w.key`,
    [event.name, event.runId ?? event.correlation],
  );
}

/** @returns its id, and whether it is new */
export async function insertEvent(
  tx: Tx,
  event: {
    name: string;
    correlation: string;
    runId: string | null;
    body: unknown;
    at: Date;
    sentBy: string;
    idempotencyKey: string | null;
  },
): Promise<{ id: string; created: boolean }> {
  const [row] = await tx.query<{ id: string }>(
    `INSERT INTO signalbox.flow_event (name, correlation, run_id, body, at, sent_by, idempotency_key)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (name, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
     RETURNING id`,
    [
      ...[event.name, event.correlation, event.runId, jsonText(event.body), event.at],
      ...[event.sentBy, event.idempotencyKey],
    ],
  );
  if (row) return { id: row.id, created: true };
  const [first] = await tx.query<{ id: string }>(
    'SELECT id FROM signalbox.flow_event WHERE name = $1 AND idempotency_key = $2',
    [event.name, event.idempotencyKey],
  );
  return { id: first?.id ?? '', created: false };
}

/** What a run asks people, oldest first. */
export function listInputs(db: Tx, runId: string): Promise<WaitRow[]> {
  return db.query<WaitRow>(
    `SELECT ${COLUMNS} FROM signalbox.flow_wait WHERE run_id = $1 AND kind = 'input' ORDER BY created_at, key`,
    [runId],
  );
}

/** What unfinished runs ask people, oldest first. */
export function listOpenInputs(
  db: Tx,
  after: { at: string; runId: string; key: string } | null,
  limit: number,
  prefix: string,
): Promise<WaitRow[]> {
  return db.query<WaitRow>(
    `SELECT ${COLUMNS} FROM signalbox.flow_wait w
     WHERE state = 'waiting' AND kind = 'input'
       AND ($1::timestamptz IS NULL OR (created_at, run_id, key) > ($1, $2::uuid, $3))
       AND EXISTS (SELECT FROM signalbox.run_live l
                   WHERE l.run_id = w.run_id AND signalbox.in_environment(l.workflow, $5))
     ORDER BY created_at, run_id, key LIMIT $4`,
    [after?.at ?? null, after?.runId ?? null, after?.key ?? null, limit, prefix],
  );
}

// Suspended flows --------------------------------------------------------------------------------------------

/** Longest time that a row can wait for; what wakes it otherwise comes earlier. */
const FOR_EVER_MS = 3_650 * 86_400_000;

/** Takes a running task from its holder. The caller holds the run's lock. @returns undefined where it is not held */
export async function suspendTask(
  tx: Tx,
  of: { runId: string; token: string },
  state: number,
  wakeInMs: number | null,
): Promise<{ queue: string; task: number } | undefined> {
  const [row] = await tx.rows<readonly [string, number]>(
    `UPDATE signalbox.task_live
     SET state = $3, session_id = NULL, token = NULL, started_at = NULL, cancel_reason = NULL,
         ready_at = clock_timestamp() + make_interval(secs => $4::float8 / 1000)
     WHERE run_id = $1 AND token = $2 RETURNING queue, task`,
    [of.runId, of.token, state, wakeInMs ?? FOR_EVER_MS],
  );
  return row && { queue: row[0], task: row[1] };
}

/** Makes suspended tasks of these runs ready, those of a paused run once it is resumed. @returns their queues */
export async function wakeTasks(tx: Tx, runIds: readonly string[]): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(
    `UPDATE signalbox.task_live SET state = state - 3, ready_at = clock_timestamp()
     WHERE run_id = ANY($1::uuid[]) AND state IN (4, 14) RETURNING queue`,
    [plainArray(runIds)],
  );
  return rows.map(([queue]) => queue);
}

/** Never waits for a lock: a row that a cancellation holds is no longer to be made ready. */
const WAKE_DUE = `
  WITH due AS MATERIALIZED (
    SELECT run_id, task FROM signalbox.task_live
    WHERE state = 4 AND ready_at <= clock_timestamp() ORDER BY ready_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  UPDATE signalbox.task_live t SET state = 1 FROM due
  WHERE t.run_id = due.run_id AND t.task = due.task
  RETURNING t.queue`;

/** Makes suspended tasks ready whose time has come. @returns their queues, one for each */
export async function wakeDueTasks(db: Tx, limit: number): Promise<string[]> {
  const rows = await db.rows<readonly [string]>(WAKE_DUE, [limit]);
  return rows.map(([queue]) => queue);
}

/** Deletes events that are older than they are kept. @returns how many */
export function deleteOldEvents(db: Tx, keep: string, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.flow_event WHERE id IN (
       SELECT id FROM signalbox.flow_event WHERE at < now() - $1::interval ORDER BY at LIMIT $2)`,
    [keep, limit],
  );
}
