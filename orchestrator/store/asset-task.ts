/** Table `asset_task`: tasks of workflows that make or read assets, and the edges that follow from them. */
import type { TaskDefinition } from '../../domain/agent-protocol.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import { growLineageEpoch } from './lineage.ts';

export interface AssetTaskRow {
  readonly asset: string;
  readonly workflow: string;
  readonly task: string;
  readonly role: 'produces' | 'consumes';
}

/** Stores what these workflows' tasks make and read, in place of what was known of them. */
export async function replaceAssetTasks(
  tx: Tx,
  workflows: readonly { name: string; tasks: readonly TaskDefinition[] }[],
  now: Date,
): Promise<void> {
  const rows = workflows.flatMap(({ name, tasks }) =>
    tasks.flatMap(({ key, produces = [], consumes = [] }) => [
      ...produces.map((asset) => ({ asset, workflow: name, task: key, role: 'produces' })),
      ...consumes.map((asset) => ({ asset, workflow: name, task: key, role: 'consumes' })),
    ]),
  );
  const names = textArray(workflows.map(({ name }) => name));
  const gone = await tx.query<{ asset_key: string }>(
    'DELETE FROM signalbox.asset_task WHERE workflow = ANY($1::text[]) RETURNING asset_key',
    [names],
  );
  if (rows.length === 0 && gone.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.asset_task (asset_key, workflow, task, role)
     SELECT asset, workflow, task, role
     FROM jsonb_to_recordset($1::jsonb) AS r (asset text, workflow text, task text, role text)
     ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING`,
    [jsonText(rows)],
  );
  const assets = [
    ...new Set([...gone.map((row) => row.asset_key), ...rows.map((row) => row.asset)]),
  ];
  await tx.execute(
    `INSERT INTO signalbox.asset (key, updated_at)
     SELECT key, $2 FROM unnest($1::text[]) AS k (key) ORDER BY key ON CONFLICT DO NOTHING`,
    [textArray([...assets].sort()), now],
  );
  await tx.execute(
    `DELETE FROM signalbox.asset_edge WHERE origin = 'task' AND downstream = ANY($1::text[])`,
    [textArray(assets)],
  );
  await tx.execute(
    `INSERT INTO signalbox.asset_edge (upstream, downstream, origin)
     SELECT DISTINCT c.asset_key, p.asset_key, 'task'
     FROM signalbox.asset_task p
     JOIN signalbox.asset_task c ON c.workflow = p.workflow AND c.task = p.task AND c.role = 'consumes'
     WHERE p.role = 'produces' AND p.asset_key = ANY($1::text[]) AND c.asset_key <> p.asset_key
     ORDER BY 2, 1 ON CONFLICT DO NOTHING`,
    [textArray(assets)],
  );
  await growLineageEpoch(tx);
}

/** Tasks that make or read these assets; of all assets where null. */
export function readAssetTaskRows(
  db: Tx,
  assets: readonly string[] | null,
): Promise<AssetTaskRow[]> {
  return db.query<AssetTaskRow>(
    `SELECT asset_key AS asset, workflow, task, role FROM signalbox.asset_task
     WHERE $1::text[] IS NULL OR asset_key = ANY($1::text[]) ORDER BY asset_key, workflow, task, role`,
    [assets && textArray(assets)],
  );
}

/** The workflow whose task makes an asset that no code of its own makes. */
export interface Producer {
  readonly workflow: string;
  readonly versionId: string;
  readonly maxActiveRuns: number | null;
}

/** Null where the asset has code of its own, or no task makes it. */
export async function readProducer(tx: Tx, asset: string): Promise<Producer | null> {
  const [row] = await tx.query<Producer>(
    `SELECT w.name AS workflow, w.version_id AS "versionId", w.max_active_runs AS "maxActiveRuns"
     FROM signalbox.asset a
     JOIN signalbox.asset_task t ON t.asset_key = a.key AND t.role = 'produces'
     JOIN signalbox.workflow w ON w.name = t.workflow
     WHERE a.key = $1 AND a.workflow IS NULL ORDER BY w.name LIMIT 1`,
    [asset],
  );
  return row ?? null;
}
