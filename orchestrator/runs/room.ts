/** Whether one more run of a workflow may work now. */
import type { Tx } from '../store/connection.ts';
import { countActiveRuns, lockActiveRuns } from '../store/run-insert.ts';
import { readRunnable } from '../store/run-workflow.ts';

/** Holds the workflow's lock until the transaction ends, where it has a limit. */
export async function hasRoom(tx: Tx, workflow: string): Promise<boolean> {
  const limit = (await readRunnable(tx, [workflow])).get(workflow)?.maxActiveRuns ?? null;
  if (limit === null) return true;
  await lockActiveRuns(tx, [workflow]);
  return (await countActiveRuns(tx, workflow)) < limit;
}
