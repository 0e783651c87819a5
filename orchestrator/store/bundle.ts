/**
 * Rows of `task_live` that stand for several ready tasks of a run: first attempts of one queue and priority, which
 * became ready together. `task` is the first, `more` packs the others. Claims take of them what they need; whoever
 * locks a run to change it finds a row for each (`lockLiveRuns`).
 */
import { byteaText, plainArray } from './columns.ts';
import type { Tx } from './connection.ts';

const BYTES = 4;

/** As `bytea` is written; null for none. */
export function packTasks(tasks: readonly number[]): string | null {
  if (tasks.length === 0) return null;
  const bytes = Buffer.allocUnsafe(tasks.length * BYTES);
  for (const [index, task] of tasks.entries()) bytes.writeInt32BE(task, index * BYTES);
  return byteaText(bytes);
}

export function unpackTasks(bytes: Buffer | null): readonly number[] {
  const tasks: number[] = [];
  for (let offset = 0; offset < (bytes?.length ?? 0); offset += BYTES) {
    tasks.push(bytes?.readInt32BE(offset) ?? 0);
  }
  return tasks;
}

const FIND = `
  SELECT run_id, task, more FROM signalbox.task_live
  WHERE run_id = ANY($1::uuid[]) AND more IS NOT NULL ORDER BY run_id, task FOR UPDATE`;
const COPY = `
  INSERT INTO signalbox.task_live (
    run_id, task, state, queue, priority, pool, pool_slots, attempt, retries_left, lost, ready_at)
  SELECT t.run_id, c.other, t.state, t.queue, t.priority, t.pool, t.pool_slots, t.attempt, t.retries_left, t.lost,
         t.ready_at
  FROM unnest($1::uuid[], $2::int[], $3::int[]) AS c (run_id, task, other)
  JOIN signalbox.task_live t ON t.run_id = c.run_id AND t.task = c.task`;
const LEAVE = `
  UPDATE signalbox.task_live t SET more = NULL FROM unnest($1::uuid[], $2::int[]) AS c (run_id, task)
  WHERE t.run_id = c.run_id AND t.task = c.task`;

/** Gives each ready task of these runs a row of its own. The caller holds the runs' locks. */
export async function unbundle(tx: Tx, runIds: readonly string[]): Promise<void> {
  const rows = await tx.rows<readonly [string, number, Buffer]>(FIND, [plainArray(runIds)]);
  if (rows.length === 0) return;
  const others = rows.flatMap(([runId, task, more]) =>
    unpackTasks(more).map((other) => ({ runId, task, other })),
  );
  await Promise.all([
    tx.execute(COPY, [
      plainArray(others.map(({ runId }) => runId)),
      plainArray(others.map(({ task }) => task)),
      plainArray(others.map(({ other }) => other)),
    ]),
    tx.execute(LEAVE, [
      plainArray(rows.map(([runId]) => runId)),
      plainArray(rows.map(([, task]) => task)),
    ]),
  ]);
}
