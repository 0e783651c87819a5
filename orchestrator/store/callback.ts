/** Tables `workflow_callback` and `callback`, and the place up to which events were followed for them. */
import type { CallbackDefinition, CallbackEvent } from '../../domain/callback.ts';
import { isSharedSql } from '../catalog/shared-workflows.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import { beginPlace, type Place, rowsAfter } from './event-batch.ts';

/** Who follows events for these tables. */
export const CALLBACK_FOLLOWER = 'callbacks';

/** Sets the callbacks that these workflows declare. */
export async function replaceCallbacks(
  tx: Tx,
  workflows: readonly string[],
  given: readonly { workflow: string; callbacks: readonly CallbackDefinition[] }[],
): Promise<void> {
  const some = given.map(({ workflow }) => workflow);
  await tx.execute(
    'DELETE FROM signalbox.workflow_callback WHERE workflow = ANY($1) AND workflow <> ALL($2)',
    [workflows, some],
  );
  if (given.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.workflow_callback (workflow, callbacks)
     SELECT * FROM unnest($1::text[], $2::jsonb[])
     ON CONFLICT (workflow) DO UPDATE SET callbacks = excluded.callbacks`,
    [textArray(some), textArray(given.map(({ callbacks }) => jsonText(callbacks)))],
  );
  await beginPlace(tx, CALLBACK_FOLLOWER);
}

export interface CallbackOwner {
  readonly workflow: string;
  readonly callbacks: readonly CallbackDefinition[];
}

export async function hasCallbacks(tx: Tx): Promise<boolean> {
  const [row] = await tx.query<{ any: boolean }>(
    'SELECT EXISTS (SELECT FROM signalbox.workflow_callback) AS any',
  );
  return row?.any ?? false;
}

/** Those of the workflows that have callbacks. */
export function readCallbackOwners(tx: Tx, workflows: readonly string[]): Promise<CallbackOwner[]> {
  return tx.query<CallbackOwner>(
    'SELECT workflow, callbacks FROM signalbox.workflow_callback WHERE workflow = ANY($1)',
    [workflows],
  );
}

export interface EventRow extends Place {
  readonly kind: 'run' | 'asset' | 'change';
  /** Null where nothing in it is of interest. */
  readonly events: string | null;
}

const EVENT_ROWS = rowsAfter(`
  b.xid::text, b.id, b.kind,
  CASE WHEN b.kind = 'change' AND (
         (SELECT EXISTS (SELECT FROM signalbox.workflow_callback WHERE callbacks @? '$[*].task'))
         OR b.events ~ ',-1,0,"(succeeded|failed|cancelled|skipped|retrying)"') THEN b.events
       WHEN b.kind = 'run' AND b.events LIKE '%"sla-missed"%' THEN b.events
       WHEN b.kind = 'asset' AND b.events LIKE '%"automation-held"%' THEN b.events
  END AS events`);

/** Rows of events behind the place. Where no task has a callback, ends of tasks are of no interest. */
export function readEventRows(tx: Tx, { xid, id }: Place, limit: number): Promise<EventRow[]> {
  return tx.query<EventRow>(EVENT_ROWS, [xid, id, limit]);
}

/** Those of the runs whose workflows, or the assets that they make together, may have callbacks; with the workflow. */
export async function runsWithCallbacks(
  tx: Tx,
  ids: readonly string[],
): Promise<readonly (readonly [id: string, workflow: string])[]> {
  if (ids.length === 0) return [];
  return tx.rows<readonly [string, string]>(
    `SELECT r.id, r.workflow FROM signalbox.run r
     WHERE r.id = ANY($1::uuid[])
       AND (${isSharedSql('r.workflow')}
            OR EXISTS (SELECT FROM signalbox.workflow_callback c WHERE c.workflow = r.workflow))`,
    [ids],
  );
}

export interface NewCallback {
  readonly key: string;
  readonly workflow: string;
  readonly run_id: string;
  readonly callback: string;
  readonly event: CallbackEvent;
  readonly callback_run_id: string | null;
  readonly url: string | null;
  readonly state: 'pending' | 'failed';
  readonly error: string | null;
}

export async function insertCallbacks(
  tx: Tx,
  callbacks: readonly NewCallback[],
  now: Date,
): Promise<void> {
  if (callbacks.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.callback (
       key, workflow, run_id, callback, event, callback_run_id, url, state, error, created_at, next_at, ended_at)
     SELECT key, workflow, run_id, callback, event, callback_run_id, url, state, error,
            $2::timestamptz, $2::timestamptz, CASE WHEN state = 'failed' THEN $2::timestamptz END
     FROM jsonb_to_recordset($1::jsonb) AS n (
       key text, workflow text, run_id text, callback text, event jsonb, callback_run_id uuid, url text,
       state text, error text)
     ON CONFLICT (key) DO NOTHING`,
    [jsonText(callbacks), now],
  );
}

export interface ToSendRow {
  readonly key: string;
  readonly workflow: string;
  readonly url: string;
  readonly attempts: number;
  readonly event: CallbackEvent;
}

/** Takes webhooks that are due, for a while: one whose server dies is due again after it. */
export function claimWebhooks(tx: Tx, now: Date, until: Date, limit: number): Promise<ToSendRow[]> {
  return tx.query<ToSendRow>(
    `UPDATE signalbox.callback c SET next_at = $2, attempts = attempts + 1
     FROM (SELECT key FROM signalbox.callback
           WHERE state = 'pending' AND url IS NOT NULL AND next_at <= $1
           ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED) due
     WHERE c.key = due.key RETURNING c.key, c.workflow, c.url, c.attempts, c.event`,
    [now, until, limit],
  );
}

export async function noteSent(
  tx: Tx,
  key: string,
  of: {
    readonly state: 'pending' | 'succeeded' | 'failed';
    readonly error: string | null;
    readonly now: Date;
    readonly nextAt: Date | null;
  },
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.callback SET state = $2::text, error = $3, next_at = $5,
       ended_at = CASE WHEN $2::text <> 'pending' THEN $4::timestamptz END
     WHERE key = $1 AND state = 'pending'`,
    [key, of.state, of.error, of.now, of.nextAt],
  );
}

export interface CallbackRow {
  readonly key: string;
  readonly callback: string;
  readonly event: CallbackEvent;
  readonly callback_run_id: string | null;
  readonly url: string | null;
  readonly state: 'pending' | 'succeeded' | 'failed';
  readonly attempts: number;
  readonly error: string | null;
  readonly created_at: Date;
  readonly ended_at: Date | null;
  /** Of the run that runs the code. */
  readonly run_state: string | null;
  readonly run_error: { readonly name: string; readonly message: string } | null;
  readonly run_finished_at: Date | null;
  readonly run_attempts: number;
}

/** Callbacks of a run, the oldest first. */
export function listCallbacks(db: Tx, runId: string, limit: number): Promise<CallbackRow[]> {
  return db.query<CallbackRow>(
    `SELECT c.key, c.callback, c.event, c.callback_run_id, c.url, c.state, c.attempts, c.error, c.created_at,
            c.ended_at, coalesce(l.state, r.state) AS run_state, r.error AS run_error,
            r.finished_at AS run_finished_at,
            (SELECT count(*)::int FROM signalbox.task_log t WHERE t.run_id = c.callback_run_id) AS run_attempts
     FROM signalbox.callback c
     LEFT JOIN signalbox.run r ON r.id = c.callback_run_id
     LEFT JOIN signalbox.run_live l ON l.run_id = c.callback_run_id
     WHERE c.run_id = $1 ORDER BY c.created_at, c.key LIMIT $2`,
    [runId, limit],
  );
}
