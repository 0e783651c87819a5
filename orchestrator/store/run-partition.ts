/** Table `run_partition`: which partitions a run makes. Only runs of partitioned assets have a row. */
import type { RunPartitions } from '../../domain/partition.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Does nothing for none. */
export async function insertRunPartitions(
  tx: Tx,
  runs: readonly { runId: string; partitions: RunPartitions }[],
): Promise<void> {
  if (runs.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.run_partition (run_id, partitions)
     SELECT * FROM unnest($1::uuid[], $2::jsonb[])`,
    [
      plainArray(runs.map(({ runId }) => runId)),
      textArray(runs.map(({ partitions }) => jsonText(partitions))),
    ],
  );
}

/** Partitions by run; runs without are missing. */
export async function readRunPartitions(
  tx: Tx,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, RunPartitions>> {
  if (runIds.length === 0) return new Map();
  const rows = await tx.rows<readonly [string, RunPartitions]>(
    'SELECT run_id, partitions FROM signalbox.run_partition WHERE run_id = ANY($1::uuid[])',
    [plainArray(runIds)],
  );
  return new Map(rows);
}
