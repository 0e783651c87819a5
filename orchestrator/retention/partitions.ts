/**
 * Keeps the logs' ranges: always two weeks ahead of now, and none longer than runs of it are kept.
 *
 * Ranges are weeks, not days: a statement takes a lock on each range that its plan names, and with a hundred of them
 * a read by run id takes ten times as long as with fifteen. Where runs are kept for more than half a year, ranges
 * are four weeks.
 */
import type { Clock, EpochMs } from '../../domain/time.ts';
import { type Db, sqlState } from '../store/connection.ts';
import {
  addPartition,
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
/** Somebody held the table, or another server was faster: the next round does it. */
const LATER = new Set(['55P03', '23505', '42P07', '42710', '42P16', '42P17', '23514', '42P01']);

/** Adds the ranges that are missing up to two weeks from now. */
export async function makeAhead(db: Db, clock: Clock, keepMs: number | null): Promise<void> {
  const width = keepMs === null || keepMs > WIDE_FROM_MS ? WIDE * WEEK_MS : WEEK_MS;
  for (const log of PARTITIONED_LOGS) await later(() => extend(db, log, clock.now(), width));
}

async function extend(db: Db, log: PartitionedLog, now: EpochMs, widthMs: number): Promise<void> {
  const ranges = await readPartitions(db, log);
  const outside = await readGreatestOutside(db, log);
  // What lies in the default partition stays there: a range begins behind it, so that nothing has to be moved.
  const behind = outside === null || timeOf(outside) > now + AHEAD_MS ? 0 : timeOf(outside) + 1;
  let start = Math.max(timeOf(ranges.at(-1)?.to ?? ''), behind);
  if (start === 0) start = now;
  start = Math.ceil(start / WEEK_MS) * WEEK_MS;
  while (start < now + AHEAD_MS) {
    const day = new Date(start).toISOString().slice(0, 10).replaceAll('-', '');
    const end = start + widthMs;
    await addPartition(db, log, {
      ...{ table: `${log}_${day}`, from: firstIdAt(start), to: firstIdAt(end) },
    });
    start = end;
  }
}

/** Drops ranges whose runs are all gone. @returns how many */
export async function dropOld(db: Db, clock: Clock, keepMs: number | null): Promise<number> {
  if (keepMs === null) return 0;
  let dropped = 0;
  for (const log of PARTITIONED_LOGS) {
    for (const range of await readPartitions(db, log)) {
      if (timeOf(range.to) > clock.now() - keepMs) continue;
      await later(async () => {
        if (await dropPartition(db, log, range)) dropped += 1;
      });
    }
  }
  return dropped;
}

async function later(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!LATER.has(sqlState(error) ?? '')) throw error;
  }
}
