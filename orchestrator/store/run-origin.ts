/** Table `run_origin`: who asked for a run, where that was no person and no schedule. */
import type { RunOrigin } from '../../domain/origin.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Does nothing for none. */
export async function insertOrigins(
  tx: Tx,
  origins: readonly { runId: string; origin: RunOrigin }[],
): Promise<void> {
  if (origins.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.run_origin (run_id, origin) SELECT * FROM unnest($1::uuid[], $2::jsonb[])`,
    [
      plainArray(origins.map(({ runId }) => runId)),
      textArray(origins.map(({ origin }) => jsonText(origin))),
    ],
  );
}

/** Origins by run; those without one are missing. */
export async function readOrigins(
  tx: Tx,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, RunOrigin>> {
  if (runIds.length === 0) return new Map();
  const rows = await tx.rows<readonly [string, RunOrigin]>(
    'SELECT run_id, origin FROM signalbox.run_origin WHERE run_id = ANY($1::uuid[])',
    [plainArray(runIds)],
  );
  return new Map(rows);
}
