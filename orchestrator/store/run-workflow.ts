/** What a trigger needs of a workflow's row. */
import type { CronSchedule } from '../schedule/cron.ts';
import type { Tx } from './connection.ts';

export interface RunnableWorkflow {
  readonly name: string;
  readonly kind: 'workflow' | 'flow' | 'asset' | 'system';
  readonly versionId: string;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly maxActiveRuns: number | null;
  readonly schedule: CronSchedule | null;
}

/** Workflows by name; those that do not exist are missing. */
export async function readRunnable(
  db: Tx,
  names: Iterable<string>,
): Promise<ReadonlyMap<string, RunnableWorkflow>> {
  const rows = await db.query<RunnableWorkflow>(
    `SELECT name, kind, version_id AS "versionId", parameters, max_active_runs AS "maxActiveRuns", schedule
     FROM signalbox.workflow WHERE name = ANY($1::text[])`,
    [[...new Set(names)]],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** Workflows of which runs wait for room. */
export async function findWaitingWorkflows(db: Tx): Promise<string[]> {
  const rows = await db.query<{ workflow: string }>(
    `SELECT DISTINCT workflow FROM signalbox.run_live WHERE state = 'scheduled'`,
  );
  return rows.map(({ workflow }) => workflow);
}
