/**
 * The partitions of `task_log` and `step_log`: ranges of run ids, which are ranges of the runs' creation. Made
 * ahead, dropped as a whole. Whoever writes or reads a log holds its tables for a moment only, so both wait for a
 * lock shortly and else come again with the next round: a queue behind a waiting lock would stop dispatch.
 */
import type { Db, Tx } from './connection.ts';

export const PARTITIONED_LOGS = ['task_log', 'step_log'] as const;
export type PartitionedLog = (typeof PARTITIONED_LOGS)[number];

export interface LogPartition {
  readonly table: string;
  /** First id of the range; null where it begins before all. */
  readonly from: string | null;
  readonly to: string;
}

const BOUND = /^FOR VALUES FROM \((?:MINVALUE|'([0-9a-f-]{36})')\) TO \('([0-9a-f-]{36})'\)$/;
/** Tables of this name are never made by anybody else. */
const NAME = /^[a-z0-9_]+$/;

/** The ranges of a log in their order, without the default partition. */
export async function readPartitions(db: Tx, log: PartitionedLog): Promise<LogPartition[]> {
  const rows = await db.query<{ table: string; bound: string }>(
    `SELECT c.relname AS table, pg_get_expr(c.relpartbound, c.oid) AS bound
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = $1::regclass`,
    [`signalbox.${log}`],
  );
  const ranges = rows.flatMap(({ table, bound }) => {
    const [found, from = null, to = ''] = BOUND.exec(bound) ?? [];
    return found === undefined ? [] : [{ table, from, to }];
  });
  return ranges.sort((a, b) => (a.to < b.to ? -1 : 1));
}

const BRIEFLY = `SET LOCAL lock_timeout = '500ms'`;

/** Adds a range. Another server may have added it meanwhile: that fails, and the next look finds it there. */
export async function addPartition(
  db: Db,
  log: PartitionedLog,
  range: LogPartition,
): Promise<void> {
  const { table, from, to } = range;
  if (!NAME.test(table) || from === null) throw new Error(`no name of a partition: ${table}`);
  await db.transaction(async (tx) => {
    await tx.execute(BRIEFLY);
    await tx.execute(`CREATE TABLE signalbox.${table} (LIKE signalbox.${log} INCLUDING ALL)`);
    await tx.execute(
      `ALTER TABLE signalbox.${log} ATTACH PARTITION signalbox.${table}
       FOR VALUES FROM ('${from}') TO ('${to}')`,
    );
  });
}

/** The greatest run id that lies in no range; null where there is none. */
export async function readGreatestOutside(db: Tx, log: PartitionedLog): Promise<string | null> {
  const [row] = await db.query<{ id: string }>(
    `SELECT run_id AS id FROM signalbox.${log}_other ORDER BY run_id DESC LIMIT 1`,
  );
  return row?.id ?? null;
}

/** Drops a range unless a run of it is there. @returns whether it is gone */
export async function dropPartition(
  db: Db,
  log: PartitionedLog,
  range: LogPartition,
): Promise<boolean> {
  if (!NAME.test(range.table)) throw new Error(`no name of a partition: ${range.table}`);
  return db.transaction(async (tx) => {
    const [found] = await tx.query<{ used: boolean }>(
      `SELECT EXISTS (SELECT FROM signalbox.run WHERE id < $2 AND ($1::uuid IS NULL OR id >= $1)) AS used`,
      [range.from, range.to],
    );
    if (found?.used !== false) return false;
    await tx.execute(BRIEFLY);
    await tx.execute(`ALTER TABLE signalbox.${log} DETACH PARTITION signalbox.${range.table}`);
    await tx.execute(`DROP TABLE signalbox.${range.table}`);
    return true;
  });
}
