/**
 * Queues that are paused or have a limit. Claims read limits from the database each time; this copy only says
 * which tasks must be claimed rather than be handed straight on, and is renewed at each change that is heard of.
 */
import type { Db } from '../store/connection.ts';

export interface Limits {
  isLimited(queue: string): boolean;
  /** Reads them anew. */
  refresh(): Promise<void>;
  close(): void;
}

const REFRESH_MS = 500;

/** Reads the limits and keeps them fresh. */
export async function createLimits(db: Db, log: (message: string) => void): Promise<Limits> {
  let limited = new Set<string>();
  async function refresh(): Promise<void> {
    const rows = await db.rows<readonly [string]>(
      'SELECT name FROM signalbox.queue WHERE paused OR concurrency IS NOT NULL',
    );
    limited = new Set(rows.map(([name]) => name));
  }
  await refresh();
  const timer = setInterval(() => {
    refresh().catch((error: Error) => log(`limits of queues were not read: ${error.message}`));
  }, REFRESH_MS);
  timer.unref();
  return {
    isLimited: (queue) => limited.has(queue),
    refresh,
    close: () => clearInterval(timer),
  };
}
