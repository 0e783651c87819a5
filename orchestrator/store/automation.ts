/** Tables `asset_automation` and `automation_pause`: which assets are automated, and how each stands. */
import type { AutomationDefinition, AutomationReason } from '../../domain/automation.ts';
import type { EpochMs } from '../../domain/time.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import { beginPlace } from './event-batch.ts';

/** Who follows events for automation. */
export const AUTOMATION_FOLLOWER = 'automation';

export interface NewAutomation {
  readonly asset_key: string;
  readonly definition: AutomationDefinition;
  readonly hash: string;
  /** By the name of each cron of the condition; those that it had before keep their time. */
  readonly crons: Readonly<Record<string, EpochMs>>;
}

/** Sets the automation of assets; of those in `without` there is none any more. All of them are looked at soon. */
export async function replaceAutomation(
  tx: Tx,
  given: readonly NewAutomation[],
  without: readonly string[],
  now: Date,
): Promise<void> {
  if (without.length > 0) {
    const keys = textArray(without);
    const gone = await tx.execute(
      'DELETE FROM signalbox.asset_automation WHERE asset_key = ANY($1::text[])',
      [keys],
    );
    if (gone > 0) {
      await tx.execute('DELETE FROM signalbox.automation_state WHERE asset_key = ANY($1::text[])', [
        keys,
      ]);
    }
  }
  if (given.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.asset_automation AS a (asset_key, definition, hash, crons, next_at, updated_at)
     SELECT asset_key, definition, hash, crons, $2, $2
     FROM jsonb_to_recordset($1::jsonb) AS d (asset_key text, definition jsonb, hash text, crons jsonb)
     ORDER BY asset_key
     ON CONFLICT (asset_key) DO UPDATE SET
       definition = excluded.definition, hash = excluded.hash, next_at = excluded.next_at,
       updated_at = excluded.updated_at,
       crons = (SELECT coalesce(jsonb_object_agg(c.key, coalesce(a.crons -> c.key, c.value)), '{}')
                FROM jsonb_each(excluded.crons) AS c)`,
    [jsonText(given), now],
  );
  await beginPlace(tx, AUTOMATION_FOLLOWER);
}

/** Has these assets looked at soon, and those that are made from them; does nothing for what is not automated. */
export async function lookSoon(tx: Tx, keys: readonly string[], now: Date): Promise<void> {
  if (keys.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.asset_automation a SET next_at = $2
     WHERE next_at > $2 AND (asset_key = ANY($1::text[]) OR EXISTS (
       SELECT FROM signalbox.asset_edge e WHERE e.downstream = a.asset_key AND e.upstream = ANY($1::text[])))`,
    [textArray(keys), now],
  );
}

export interface AutomationRow {
  readonly asset_key: string;
  readonly definition: AutomationDefinition;
  readonly hash: string;
  readonly crons: Readonly<Record<string, EpochMs>>;
  readonly paused_at: Date | null;
  readonly paused_by: string | null;
  /** Of the asset's own workflow; null where it is not paused. */
  readonly workflow_paused_at: Date | null;
  readonly state: 'pending' | 'requested' | 'held' | 'idle' | 'error';
  readonly reason: AutomationReason | null;
  readonly held: number;
  readonly held_since: Date | null;
  readonly overdue: boolean;
  readonly error: string | null;
  readonly evaluated_at: Date | null;
  readonly last_request: { runId: string; at: string; partition: string | null } | null;
}

const COLUMNS = `
  a.asset_key, a.definition, a.hash, a.crons, a.paused_at, a.paused_by, a.state, a.reason, a.held, a.held_since,
  a.overdue, a.error, a.evaluated_at, a.last_request,
  (SELECT coalesce(w.paused_at, w.updated_at) FROM signalbox.workflow w
   WHERE w.name = a.asset_key AND w.paused) AS workflow_paused_at`;

/** Locks these rows, so that what is registered or paused meanwhile is not overwritten. Unknown ones are missing. */
export function lockAutomation(tx: Tx, keys: readonly string[]): Promise<AutomationRow[]> {
  return tx.query<AutomationRow>(
    `SELECT ${COLUMNS} FROM signalbox.asset_automation a
     WHERE a.asset_key = ANY($1::text[]) ORDER BY a.asset_key FOR UPDATE OF a`,
    [textArray(keys)],
  );
}

export async function findAutomation(db: Tx, key: string): Promise<AutomationRow | undefined> {
  const [row] = await readAutomations(db, [key]);
  return row;
}

/** How the automation of these assets stands; those without are missing. */
export function readAutomations(db: Tx, keys: readonly string[]): Promise<AutomationRow[]> {
  return db.query<AutomationRow>(
    `SELECT ${COLUMNS} FROM signalbox.asset_automation a WHERE a.asset_key = ANY($1::text[])`,
    [textArray(keys)],
  );
}

export async function isAnyAutomated(tx: Tx): Promise<boolean> {
  const [row] = await tx.rows<readonly [boolean]>(
    'SELECT EXISTS (SELECT FROM signalbox.asset_automation)',
  );
  return row?.[0] ?? false;
}

/** All automated assets. */
export async function readAutomated(tx: Tx): Promise<ReadonlySet<string>> {
  const rows = await tx.rows<readonly [string]>('SELECT asset_key FROM signalbox.asset_automation');
  return new Set(rows.map(([key]) => key));
}

/**
 * Assets whose moment has come, at most `limit`. One that lies further ahead than any is ever set was set by clocks
 * that have gone back since.
 */
export async function readDueAutomation(
  tx: Tx,
  of: { now: Date; atMost: Date; limit: number },
): Promise<readonly string[]> {
  const rows = await tx.rows<readonly [string]>(
    `SELECT asset_key FROM signalbox.asset_automation
     WHERE next_at <= $1 OR next_at > $2 ORDER BY next_at LIMIT $3`,
    [of.now, of.atMost, of.limit],
  );
  return rows.map(([key]) => key);
}

export interface StandingRecord {
  readonly asset_key: string;
  readonly next_at: string;
  readonly state: AutomationRow['state'];
  readonly reason: AutomationReason | null;
  readonly held: number;
  readonly held_since: string | null;
  readonly overdue: boolean;
  readonly error: string | null;
  /** Null leaves what is there. */
  readonly last_request: AutomationRow['last_request'];
}

/** Writes how looked-at assets stand. */
export async function setStandings(
  tx: Tx,
  records: readonly StandingRecord[],
  now: Date,
): Promise<void> {
  if (records.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.asset_automation a SET
       next_at = s.next_at, state = s.state, reason = s.reason, held = s.held, held_since = s.held_since,
       overdue = s.overdue, error = s.error, evaluated_at = $2,
       last_request = coalesce(s.last_request, a.last_request)
     FROM jsonb_to_recordset($1::jsonb) AS s (
       asset_key text, next_at timestamptz, state text, reason jsonb, held int, held_since timestamptz,
       overdue boolean, error text, last_request jsonb)
     WHERE a.asset_key = s.asset_key`,
    [jsonText(records), now],
  );
}

/** @returns false where the asset is not automated */
export async function setAutomationPaused(
  tx: Tx,
  key: string,
  by: string | null,
  now: Date,
): Promise<boolean> {
  const changed = await tx.execute(
    `UPDATE signalbox.asset_automation SET
       paused_at = CASE WHEN $2::text IS NULL THEN NULL ELSE coalesce(paused_at, $3) END,
       paused_by = CASE WHEN $2::text IS NULL THEN NULL ELSE coalesce(paused_by, $2) END, next_at = $3
     WHERE asset_key = $1`,
    [key, by, now],
  );
  return changed > 0;
}

/** Pauses all automation, or lets it go on (null); all assets are looked at soon. */
export async function setAllPaused(tx: Tx, by: string | null, now: Date): Promise<void> {
  if (by === null) await tx.execute('DELETE FROM signalbox.automation_pause');
  else {
    await tx.execute(
      'INSERT INTO signalbox.automation_pause (at, by) VALUES ($1, $2) ON CONFLICT DO NOTHING',
      [now, by],
    );
  }
  await tx.execute('UPDATE signalbox.asset_automation SET next_at = $1', [now]);
}

/** Since when all automation is paused, and by whom; null where it is not. */
export async function readAllPaused(db: Tx): Promise<{ at: Date; by: string } | null> {
  const [row] = await db.query<{ at: Date; by: string }>(
    'SELECT at, by FROM signalbox.automation_pause',
  );
  return row ?? null;
}
