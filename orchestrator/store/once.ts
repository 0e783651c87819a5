/** Rows of `once_key`: one result under a business key of a workflow's; one holder at a time does the work. */
import { createHash } from 'node:crypto';
import { isToken, isUuid } from '../runs/identifiers.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';
import { type HeldRun, readHeldOf } from './held.ts';

export interface OnceRow {
  readonly state: 'held' | 'done' | 'unknown';
  readonly on_unknown: 'repeat' | 'stop';
  readonly token: string;
  readonly result: unknown;
  /** Whether the holder still has its task and its lease. */
  readonly alive: boolean;
}

export interface OnceHolder {
  readonly workflow: string;
  readonly key: string;
  readonly runId: string;
  readonly token: string;
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** Whether the token holds a task of the run. */
export async function holdsTask(tx: Tx, runId: string, token: string): Promise<boolean> {
  if (!isUuid(runId) || !isToken(token)) return false;
  const rows = await tx.rows('SELECT 1 FROM signalbox.task_live WHERE run_id = $1 AND token = $2', [
    runId,
    token,
  ]);
  return rows.length > 0 || holdsIn(await readHeldOf(tx, runId), token);
}

function holdsIn(run: HeldRun | undefined, token: string): boolean {
  return [...(run?.entries.values() ?? [])].some((entry) => entry.token === token);
}

/** Takes the key for the holder. @returns false where somebody has it */
export async function insertOnce(
  tx: Tx,
  holder: OnceHolder,
  sessionId: string,
  onUnknown: string,
): Promise<boolean> {
  const count = await tx.execute(
    `INSERT INTO signalbox.once_key
       (workflow, key_hash, key, state, on_unknown, run_id, token, session_id, held_at)
     VALUES ($1, $2, $3, 'held', $4, $5, $6, $7, clock_timestamp())
     ON CONFLICT (workflow, key_hash) DO NOTHING`,
    [
      ...[holder.workflow, hashOf(holder.key), holder.key, onUnknown],
      ...[holder.runId, holder.token, sessionId],
    ],
  );
  return count > 0;
}

/** Locks the key's row; undefined where there is none. */
export async function lockOnce(
  tx: Tx,
  workflow: string,
  key: string,
): Promise<OnceRow | undefined> {
  const [row] = await tx.query<OnceRow & { run_id: string; lease: boolean }>(
    `SELECT o.state, o.on_unknown, o.token, o.result,
            EXISTS (
              SELECT FROM signalbox.task_live t
              JOIN signalbox.agent_session s ON s.id = t.session_id
              WHERE t.run_id = o.run_id AND t.token = o.token AND t.state = 2
                AND s.state = 'live' AND s.lease_expires_at > clock_timestamp()) AS alive,
            o.run_id,
            EXISTS (
              SELECT FROM signalbox.run_live l JOIN signalbox.agent_session s ON s.id = l.holder
              WHERE l.run_id = o.run_id
                AND s.state = 'live' AND s.lease_expires_at > clock_timestamp()) AS lease
     FROM signalbox.once_key o WHERE o.workflow = $1 AND o.key_hash = $2 FOR UPDATE OF o`,
    [workflow, hashOf(key)],
  );
  if (!row || row.alive || !row.lease) return row;
  return { ...row, alive: holdsIn(await readHeldOf(tx, row.run_id), row.token) };
}

/** Hands a held key to another holder. */
export async function takeOverOnce(
  tx: Tx,
  holder: OnceHolder,
  sessionId: string,
  onUnknown: string,
): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.once_key
     SET run_id = $3, token = $4, session_id = $5, on_unknown = $6, held_at = clock_timestamp()
     WHERE workflow = $1 AND key_hash = $2`,
    [
      ...[holder.workflow, hashOf(holder.key), holder.runId, holder.token],
      ...[sessionId, onUnknown],
    ],
  );
}

/** Nobody knows whether the effect took place. */
export async function markOnceUnknown(tx: Tx, workflow: string, key: string): Promise<void> {
  await tx.execute(
    `UPDATE signalbox.once_key SET state = 'unknown' WHERE workflow = $1 AND key_hash = $2`,
    [workflow, hashOf(key)],
  );
}

/** Records the holder's result. @returns whether it is, or was before, recorded for this holder */
export async function finishOnce(tx: Tx, holder: OnceHolder, result: unknown): Promise<boolean> {
  const count = await tx.execute(
    `UPDATE signalbox.once_key
     SET state = 'done', finished_at = coalesce(finished_at, clock_timestamp()),
         result = CASE WHEN state = 'done' THEN result ELSE $4::jsonb END
     WHERE workflow = $1 AND key_hash = $2 AND token = $3`,
    [holder.workflow, hashOf(holder.key), holder.token, jsonText(result)],
  );
  return count > 0;
}

/** Lets go of a key whose work failed before its effect. */
export async function releaseOnce(tx: Tx, holder: OnceHolder): Promise<void> {
  await tx.execute(
    `DELETE FROM signalbox.once_key
     WHERE workflow = $1 AND key_hash = $2 AND token = $3 AND state = 'held'`,
    [holder.workflow, hashOf(holder.key), holder.token],
  );
}
