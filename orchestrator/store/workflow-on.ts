/** Tables `workflow_on` and `workflow_on_met`, and the place up to which events were followed for them. */
import type { Cause, OnDefinition, WhilePaused } from '../../domain/origin.ts';
import type { CronSchedule } from '../schedule/cron.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import { beginPlace, type Place, rowsAfter } from './event-batch.ts';

/** Who follows events for these tables. */
export const TRIGGER_FOLLOWER = 'triggers';

/** Sets what starts these workflows; null for those that nothing does. */
export async function replaceConditions(
  tx: Tx,
  given: readonly { workflow: string; on: OnDefinition | null }[],
): Promise<void> {
  const none = given.filter(({ on }) => on === null).map(({ workflow }) => workflow);
  if (none.length > 0) {
    await tx.execute('DELETE FROM signalbox.workflow_on WHERE workflow = ANY($1)', [none]);
    await tx.execute('DELETE FROM signalbox.workflow_on_met WHERE workflow = ANY($1)', [none]);
    await tx.execute('DELETE FROM signalbox.workflow_on_queued WHERE workflow = ANY($1)', [none]);
  }
  const some = given.filter(({ on }) => on !== null);
  if (some.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.workflow_on (workflow, match, conditions, while_paused)
     SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::text[])
     ON CONFLICT (workflow) DO UPDATE SET
       match = excluded.match, conditions = excluded.conditions, while_paused = excluded.while_paused`,
    [
      textArray(some.map(({ workflow }) => workflow)),
      textArray(some.map(({ on }) => on?.match ?? 'any')),
      textArray(some.map(({ on }) => jsonText(on?.conditions))),
      textArray(some.map(({ on }) => on?.whilePaused ?? 'latest')),
    ],
  );
  await beginPlace(tx, TRIGGER_FOLLOWER);
}

/** Who waits for whom: workflows with the conditions that name other workflows. */
export async function readAllConditions(
  db: Tx,
): Promise<readonly { workflow: string; on: OnDefinition }[]> {
  const rows = await db.query<{ workflow: string } & OnDefinition>(
    'SELECT workflow, match, conditions FROM signalbox.workflow_on',
  );
  return rows.map(({ workflow, match, conditions }) => ({ workflow, on: { match, conditions } }));
}

/** A workflow that is started by what happens, with all that its run needs. */
export interface Subscriber extends OnDefinition {
  readonly workflow: string;
  readonly version_id: string;
  readonly parameters: Record<string, unknown> | null;
  readonly max_active_runs: number | null;
  readonly schedule: CronSchedule | null;
  readonly whilePaused: WhilePaused;
  /** Since when it is paused; null where it is not. */
  readonly paused_at: Date | null;
}

const SUBSCRIBERS = `
  SELECT o.workflow, o.match, o.conditions, o.while_paused AS "whilePaused", w.version_id, w.parameters,
         w.max_active_runs, w.schedule,
         CASE WHEN w.paused THEN coalesce(w.paused_at, w.registered_at) END AS paused_at
  FROM signalbox.workflow_on o JOIN signalbox.workflow w ON w.name = o.workflow`;

/** All of them, in the order of their names. */
export function readSubscribers(tx: Tx): Promise<Subscriber[]> {
  return tx.query<Subscriber>(`${SUBSCRIBERS} ORDER BY o.workflow`);
}

export interface FollowedRow extends Place {
  readonly kind: 'asset' | 'change';
  /** Null where no run ended in it. */
  readonly events: string | null;
}

const FOLLOWED = rowsAfter(`
  b.xid::text, b.id, b.kind,
  CASE WHEN b.kind = 'asset' THEN b.events
       WHEN b.kind = 'change' AND b.events ~ ',-1,0,"(succeeded|failed|cancelled|skipped)"' THEN b.events
  END AS events`);

/** Rows of events behind the place. */
export function readFollowed(tx: Tx, { xid, id }: Place, limit: number): Promise<FollowedRow[]> {
  return tx.query<FollowedRow>(FOLLOWED, [xid, id, limit]);
}

export interface UpstreamRun {
  readonly id: string;
  readonly workflow: string;
  readonly logical_date: Date | null;
  readonly interval_start: Date | null;
  readonly interval_end: Date | null;
}

/** Those of the runs that are of these workflows. */
export function readUpstreamRuns(
  tx: Tx,
  ids: readonly string[],
  workflows: readonly string[],
): Promise<UpstreamRun[]> {
  return tx.query<UpstreamRun>(
    `SELECT id, workflow, logical_date, interval_start, interval_end FROM signalbox.run
     WHERE id = ANY($1::uuid[]) AND workflow = ANY($2) AND engine = 'signalbox'`,
    [plainArray(ids), workflows],
  );
}

export interface MetRow {
  readonly workflow: string;
  readonly condition: string;
  readonly event_key: string;
  readonly cause: Cause;
}

/** Conditions that have come true since the last run of these workflows. */
export function readMet(tx: Tx, workflows: readonly string[]): Promise<MetRow[]> {
  return tx.query<MetRow>(
    'SELECT workflow, condition, event_key, cause FROM signalbox.workflow_on_met WHERE workflow = ANY($1)',
    [workflows],
  );
}

/** Replaces the conditions that have come true of these workflows. */
export async function replaceMet(
  tx: Tx,
  workflows: readonly string[],
  met: readonly MetRow[],
  now: Date,
): Promise<void> {
  await tx.execute('DELETE FROM signalbox.workflow_on_met WHERE workflow = ANY($1)', [workflows]);
  if (met.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.workflow_on_met (workflow, condition, event_key, cause, at)
     SELECT *, $5 FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[])`,
    [
      textArray(met.map(({ workflow }) => workflow)),
      textArray(met.map(({ condition }) => condition)),
      textArray(met.map(({ event_key }) => event_key)),
      textArray(met.map(({ cause }) => jsonText(cause))),
      now,
    ],
  );
}

// What waits for the end of a pause -----------------------------------------------------------------------------

/** A run that a paused workflow is to have. */
export interface QueuedRow {
  readonly workflow: string;
  readonly key: string;
  readonly causes: readonly Cause[];
}

/**
 * Puts runs behind those that wait of their workflows, of which only so many of the newest stay.
 * @returns by workflow how many of them no longer wait
 */
export async function queueRuns(
  tx: Tx,
  rows: readonly QueuedRow[],
  keep: readonly { readonly workflow: string; readonly most: number }[],
  now: Date,
): Promise<ReadonlyMap<string, number>> {
  await tx.execute(
    `INSERT INTO signalbox.workflow_on_queued (workflow, key, causes, at)
     SELECT workflow, key, causes, $4 FROM unnest($1::text[], $2::text[], $3::jsonb[])
       WITH ORDINALITY AS q (workflow, key, causes, place) ORDER BY place`,
    [
      textArray(rows.map(({ workflow }) => workflow)),
      textArray(rows.map(({ key }) => key)),
      textArray(rows.map(({ causes }) => jsonText(causes))),
      now,
    ],
  );
  const gone = await tx.rows<readonly [string, number]>(
    `WITH surplus AS (
       DELETE FROM signalbox.workflow_on_queued q USING (
         SELECT o.workflow, o.id FROM unnest($1::text[], $2::int[]) AS k (workflow, most)
         CROSS JOIN LATERAL (
           SELECT workflow, id FROM signalbox.workflow_on_queued
           WHERE workflow = k.workflow ORDER BY id DESC OFFSET k.most) o) old
       WHERE q.workflow = old.workflow AND q.id = old.id RETURNING q.workflow)
     SELECT workflow, count(*)::int FROM surplus GROUP BY workflow`,
    [textArray(keep.map(({ workflow }) => workflow)), plainArray(keep.map(({ most }) => most))],
  );
  return new Map(gone);
}

/** Takes runs out whose workflows are no longer paused, the oldest first. What another server takes is left to it. */
export async function takeQueued(
  tx: Tx,
  limit: number,
): Promise<readonly (Subscriber & QueuedRow)[]> {
  const rows = await tx.query<{ workflow: string; id: string }>(
    `SELECT q.workflow, q.id FROM signalbox.workflow_on_queued q
     WHERE NOT EXISTS (SELECT FROM signalbox.workflow w WHERE w.name = q.workflow AND w.paused)
     ORDER BY q.id LIMIT $1 FOR UPDATE SKIP LOCKED`,
    [limit],
  );
  if (rows.length === 0) return [];
  return tx.query<Subscriber & QueuedRow>(
    `WITH taken AS (
       DELETE FROM signalbox.workflow_on_queued WHERE id = ANY($1::bigint[]) RETURNING id, workflow, key, causes)
     SELECT s.*, t.key, t.causes FROM taken t JOIN (${SUBSCRIBERS}) s ON s.workflow = t.workflow ORDER BY t.id`,
    [plainArray(rows.map(({ id }) => id))],
  );
}
