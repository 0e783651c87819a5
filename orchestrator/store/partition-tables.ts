/**
 * The partitions of `task_log` and `step_log`: ranges of run ids, which are ranges of the runs' creation. Made
 * ahead, dropped as a whole. Whoever writes or reads a log holds its tables for a moment only, so both wait for a
 * lock shortly and else come again with the next round: a queue behind a waiting lock would stop dispatch. One server
 * at a time looks at the ranges of a log and changes them; the others leave it to that one.
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

/** A lock that nobody waits for. */
const TAKE_TURN = `
  SELECT pg_try_advisory_xact_lock(hashtextextended($1, 13)) AS "isOurs", set_config('lock_timeout', '500ms', true)`;

/**
 * A transaction that looks at the ranges of a log and changes them, while no other server does.
 * @returns what the work tells; false where another server is at it
 */
export function changeRanges(
  db: Db,
  log: PartitionedLog,
  work: (tx: Tx) => Promise<boolean>,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    const [turn] = await tx.query<{ isOurs: boolean }>(TAKE_TURN, [log]);
    return turn?.isOurs === true && work(tx);
  });
}

/** Adds a range that is not there. */
export async function addPartition(
  tx: Tx,
  log: PartitionedLog,
  { table, from, to }: LogPartition,
): Promise<void> {
  if (!NAME.test(table) || from === null) throw new Error(`no name of a partition: ${table}`);
  await tx.execute(`CREATE TABLE signalbox.${table} (LIKE signalbox.${log} INCLUDING ALL)`);
  await tx.execute(
    `ALTER TABLE signalbox.${log} ATTACH PARTITION signalbox.${table}
     FOR VALUES FROM ('${from}') TO ('${to}')`,
  );
}

/** The greatest run id that lies in no range; null where there is none. */
export async function readGreatestOutside(db: Tx, log: PartitionedLog): Promise<string | null> {
  const [row] = await db.query<{ id: string }>(
    `SELECT run_id AS id FROM signalbox.${log}_other ORDER BY run_id DESC LIMIT 1`,
  );
  return row?.id ?? null;
}

/** Drops a range unless a run of it is there. @returns whether it was dropped */
export async function dropPartition(
  tx: Tx,
  log: PartitionedLog,
  { table, from, to }: LogPartition,
): Promise<boolean> {
  if (!NAME.test(table)) throw new Error(`no name of a partition: ${table}`);
  const [found] = await tx.query<{ isLeft: boolean }>(
    `SELECT to_regclass($3) IS NOT NULL AND NOT EXISTS (
       SELECT FROM signalbox.run WHERE id < $2 AND ($1::uuid IS NULL OR id >= $1)) AS "isLeft"`,
    [from, to, `signalbox.${table}`],
  );
  if (found?.isLeft !== true) return false;
  await tx.execute(`ALTER TABLE signalbox.${log} DETACH PARTITION signalbox.${table}`);
  await tx.execute(`DROP TABLE signalbox.${table}`);
  return true;
}
