/** Checks: what is declared apart from assets, and what each one said over time. */
import type { CheckDefinition } from '../../domain/agent-protocol.ts';
import type { CheckSeverity } from '../../domain/asset.ts';
import type { GraphTask } from '../catalog/graph.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';

export interface CheckResultRow {
  readonly id: string;
  readonly asset_key: string;
  readonly name: string;
  readonly passed: boolean;
  readonly severity: CheckSeverity;
  readonly blocking: boolean;
  readonly at: Date;
  readonly run_id: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Appends what checks said. */
export async function insertCheckResults(
  tx: Tx,
  results: readonly (Omit<CheckResultRow, 'at'> & { readonly at: string })[],
): Promise<void> {
  if (results.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.asset_check_result (
       id, asset_key, name, passed, severity, blocking, at, run_id, metadata)
     SELECT id, asset_key, name, passed, severity, blocking, at, run_id, metadata
     FROM jsonb_to_recordset($1::jsonb) AS r (
       id uuid, asset_key text, name text, passed boolean, severity text, blocking boolean,
       at timestamptz, run_id uuid, metadata jsonb)
     ON CONFLICT DO NOTHING`,
    [jsonText(results)],
  );
}

/** What an asset's checks said, the last first. */
export function listCheckResults(
  db: Tx,
  key: string,
  query: { check: string | null; after: string | null; limit: number },
): Promise<CheckResultRow[]> {
  return db.query<CheckResultRow>(
    `SELECT id, asset_key, name, passed, severity, blocking, at, run_id, metadata
     FROM signalbox.asset_check_result
     WHERE asset_key = $1 AND ($2::text IS NULL OR name = $2) AND ($3::uuid IS NULL OR id < $3)
     ORDER BY id DESC LIMIT $4`,
    [key, query.check, query.after, query.limit],
  );
}

export interface DeclaredCheck {
  readonly check: CheckDefinition;
  readonly workflow: string;
  readonly task: GraphTask;
}

/** Stores checks that stand by themselves. The asset need not be known yet. */
export async function upsertCheckDefinitions(
  tx: Tx,
  declared: readonly DeclaredCheck[],
  now: Date,
): Promise<void> {
  const rows = declared.map(({ check, workflow, task }) => ({
    ...{ asset_key: check.asset, name: check.name, blocking: check.blocking },
    ...{ severity: check.severity, workflow, task: { ...task, after: [] } },
  }));
  await tx.execute(
    `INSERT INTO signalbox.asset (key, updated_at)
     SELECT DISTINCT asset_key, $2::timestamptz FROM jsonb_to_recordset($1::jsonb) AS d (asset_key text)
     ORDER BY 1 ON CONFLICT DO NOTHING`,
    [jsonText(rows), now],
  );
  await tx.execute(
    `INSERT INTO signalbox.asset_check_definition (
       asset_key, name, blocking, severity, workflow, task, updated_at)
     SELECT asset_key, name, blocking, severity, workflow, task, $2
     FROM jsonb_to_recordset($1::jsonb) AS d (
       asset_key text, name text, blocking boolean, severity text, workflow text, task jsonb)
     ORDER BY asset_key, name
     ON CONFLICT (asset_key, name) DO UPDATE SET
       blocking = excluded.blocking, severity = excluded.severity, workflow = excluded.workflow,
       task = excluded.task, updated_at = excluded.updated_at`,
    [jsonText(rows), now],
  );
}

/** How the checks of an asset are run: its own by its own task, each other one by its own. */
export interface CheckableAsset {
  readonly task: GraphTask | null;
  readonly checks: readonly { name: string }[];
  readonly others: readonly { name: string; task: GraphTask }[];
}

export async function findCheckable(db: Tx, key: string): Promise<CheckableAsset | undefined> {
  const [row] = await db.query<CheckableAsset>(
    `SELECT a.task, a.checks,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('name', d.name, 'task', d.task) ORDER BY d.name), '[]')
        FROM signalbox.asset_check_definition d WHERE d.asset_key = a.key) AS others
     FROM signalbox.asset a WHERE a.key = $1`,
    [key],
  );
  return row;
}

export interface CheckStateRow {
  readonly name: string;
  readonly blocking: boolean;
  readonly severity: CheckSeverity;
  /** Null where it has not run. */
  readonly passed: boolean | null;
  readonly at: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}
