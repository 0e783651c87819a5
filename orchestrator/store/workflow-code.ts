/** Table `workflow_code`: hashes of the code of tasks, as agents told them last. */
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface WorkflowCode {
  readonly workflow: string;
  readonly tasks: Readonly<Record<string, string>>;
}

/** Only what differs is written: nearly always that is nothing. */
export async function storeCode(tx: Tx, codes: readonly WorkflowCode[]): Promise<void> {
  if (codes.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.workflow_code (workflow, tasks)
     SELECT g.workflow, g.tasks FROM jsonb_to_recordset($1::jsonb) AS g (workflow text, tasks jsonb)
     LEFT JOIN signalbox.workflow_code c USING (workflow)
     WHERE c.tasks IS DISTINCT FROM g.tasks ORDER BY 1
     ON CONFLICT (workflow) DO UPDATE SET tasks = excluded.tasks`,
    [jsonText(codes)],
  );
}

/** By workflow; those that never told are missing. */
export async function readCode(
  db: Tx,
  workflows: readonly string[],
): Promise<ReadonlyMap<string, WorkflowCode['tasks']>> {
  const rows = await db.query<WorkflowCode>(
    'SELECT workflow, tasks FROM signalbox.workflow_code WHERE workflow = ANY($1::text[])',
    [textArray(workflows)],
  );
  return new Map(rows.map(({ workflow, tasks }) => [workflow, tasks]));
}
