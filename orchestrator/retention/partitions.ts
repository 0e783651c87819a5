/**
 * Keeps the logs' ranges: always two weeks ahead of now, and none longer than runs of it are kept.
 *
 * Ranges are weeks, not days: a statement takes a lock on each range that its plan names, and with a hundred of them
 * a read by run id takes ten times as long as with fifteen. Where runs are kept for more than half a year, ranges
 * are four weeks.
 */
import type { Clock, EpochMs } from '../../domain/time.ts';
import { type Db, sqlState, type Tx } from '../store/connection.ts';
import {
  addPartition,
  changeRanges,
  dropPartition,
  PARTITIONED_LOGS,
  type PartitionedLog,
  readGreatestOutside,
  readPartitions,
} from '../store/partition-tables.ts';
import { firstIdAt, timeOf } from './id-range.ts';

const WEEK_MS = 7 * 86_400_000;
const AHEAD_MS = 2 * WEEK_MS;
const WIDE_FROM_MS = 26 * WEEK_MS;
const WIDE = 4;
/** What the next round does: somebody held the table, or a run of the new range came into the default partition. */
const LATER = new Set(['55P03', '23514']);

/** Adds the ranges that are missing up to two weeks from now. */
export async function makeAhead(db: Db, clock: Clock, keepMs: number | null): Promise<void> {
  const width = keepMs === null || keepMs > WIDE_FROM_MS ? WIDE * WEEK_MS : WEEK_MS;
  for (const log of PARTITIONED_LOGS) {
    const work = (tx: Tx) => extend(tx, log, clock.now(), width);
    // A transaction each: none holds the tables for longer than one range takes.
    await later(async () => {
      while (await changeRanges(db, log, work));
    });
  }
}

/** Adds the next range that is missing. @returns whether there was one */
async function extend(
  tx: Tx,
  log: PartitionedLog,
  now: EpochMs,
  widthMs: number,
): Promise<boolean> {
  const ranges = await readPartitions(tx, log);
  const outside = await readGreatestOutside(tx, log);
  // What lies in the default partition stays there: a range begins behind it, so that nothing has to be moved.
  const behind = outside === null || timeOf(outside) > now + AHEAD_MS ? 0 : timeOf(outside) + 1;
  let start = Math.max(timeOf(ranges.at(-1)?.to ?? ''), behind);
  if (start === 0) start = now;
  start = Math.ceil(start / WEEK_MS) * WEEK_MS;
  if (start >= now + AHEAD_MS) return false;
  const day = new Date(start).toISOString().slice(0, 10).replaceAll('-', '');
  await addPartition(tx, log, {
    ...{ table: `${log}_${day}`, from: firstIdAt(start), to: firstIdAt(start + widthMs) },
  });
  return true;
}

/** Drops ranges whose runs are all gone. */
export async function dropOld(db: Db, clock: Clock, keepMs: number | null): Promise<void> {
  if (keepMs === null) return;
  for (const log of PARTITIONED_LOGS) {
    for (const range of await readPartitions(db, log)) {
      if (timeOf(range.to) > clock.now() - keepMs) continue;
      await later(() => changeRanges(db, log, (tx) => dropPartition(tx, log, range)));
    }
  }
}

async function later(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!LATER.has(sqlState(error) ?? '')) throw error;
  }
}
