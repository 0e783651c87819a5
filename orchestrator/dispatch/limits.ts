/**
 * Queues that are paused or have a limit; the queue `*` limits all. Claims read limits from the database each time; this copy only says
 * which tasks must be claimed rather than be handed straight on, and is renewed at each change that is heard of.
 */
import type { Db } from '../store/connection.ts';
import { findAllHeld, spillHeld } from '../store/held.ts';

export interface Limits {
  isLimited(queue: string): boolean;
  /** Queues in which time alone makes room; `*` stands for all. */
  rated(): ReadonlySet<string>;
  /** Reads them anew. */
  refresh(): Promise<void>;
  close(): void;
}

const REFRESH_MS = 500;
const ALL_QUEUES = '*';

/** Reads the limits and keeps them fresh. */
export async function createLimits(db: Db, log: (message: string) => void): Promise<Limits> {
  let limited = new Set<string>();
  let rated: ReadonlySet<string> = new Set();
  async function refresh(): Promise<void> {
    const rows = await db.rows<readonly [string, boolean, boolean]>(
      `SELECT name, concurrency IS NOT NULL, rate_count IS NOT NULL FROM signalbox.queue
       WHERE paused OR concurrency IS NOT NULL OR rate_count IS NOT NULL`,
    );
    rated = new Set(rows.flatMap(([name, , isRated]) => (isRated ? [name] : [])));
    const known = limited;
    limited = new Set(rows.map(([name]) => name));
    // What is limited is counted by rows; from here on this server makes no others.
    if (rows.some(([name, counted]) => counted && !known.has(name))) await spillAll(db);
  }
  await refresh();
  const timer = setInterval(() => {
    refresh().catch((error: Error) => log(`limits of queues were not read: ${error.message}`));
  }, REFRESH_MS);
  timer.unref();
  return {
    isLimited: (queue) => limited.size > 0 && (limited.has(queue) || limited.has(ALL_QUEUES)),
    rated: () => rated,
    refresh,
    close: () => clearInterval(timer),
  };
}

const SPILL_AT_ONCE = 500;

async function spillAll(db: Db): Promise<void> {
  const runIds = await findAllHeld(db);
  for (let at = 0; at < runIds.length; at += SPILL_AT_ONCE) {
    await db.transaction((tx) => spillHeld(tx, runIds.slice(at, at + SPILL_AT_ONCE)));
  }
}
