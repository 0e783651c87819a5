/** Tables `workflow_on` and `workflow_on_met`, and the place up to which events were followed for them. */
import type { Cause, OnDefinition } from '../../domain/origin.ts';
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
  }
  const some = given.filter(({ on }) => on !== null);
  if (some.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.workflow_on (workflow, match, conditions)
     SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[])
     ON CONFLICT (workflow) DO UPDATE SET match = excluded.match, conditions = excluded.conditions`,
    [
      textArray(some.map(({ workflow }) => workflow)),
      textArray(some.map(({ on }) => on?.match ?? 'any')),
      textArray(some.map(({ on }) => jsonText(on?.conditions))),
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
}

/** Subscribers that are not paused. */
export function readSubscribers(tx: Tx): Promise<Subscriber[]> {
  return tx.query<Subscriber>(
    `SELECT o.workflow, o.match, o.conditions, w.version_id, w.parameters, w.max_active_runs, w.schedule
     FROM signalbox.workflow_on o JOIN signalbox.workflow w ON w.name = o.workflow
     WHERE NOT w.paused ORDER BY o.workflow`,
  );
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
