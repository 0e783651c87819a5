/** The server's clock keeps to PostgreSQL's, which all servers share. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { createFollowingClock, type FollowingClock, type Look } from '../domain/following-clock.ts';
import type { Clock } from '../domain/time.ts';

const LOOK_EVERY_MS = 5_000;
/** Looks at the start, of which the quickest counts. */
const FIRST_LOOKS = 3;

/**
 * A clock that follows PostgreSQL's.
 * @param log told when the machine's own clock is far off, since logs and agents beside it go by that
 */
export async function followDatabaseClock(
  db: Pool,
  log: (message: string) => void,
): Promise<{ clock: Clock; stop(): void }> {
  const clock = createFollowingClock(await look(db), () => performance.now());
  for (let count = 1; count < FIRST_LOOKS; count += 1) clock.correct(await look(db));
  const away = Math.round((Date.now() - clock.now()) / 1_000);
  if (Math.abs(away) >= 1) {
    log(
      `this machine's clock is ${away} s away from PostgreSQL's; the server goes by PostgreSQL's`,
    );
  }
  const stop = new AbortController();
  void keepLooking(db, clock, stop.signal);
  return { clock, stop: () => stop.abort() };
}

/** While PostgreSQL does not answer, the monotonic clock goes on. */
async function keepLooking(db: Pool, clock: FollowingClock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return;
    const found = await look(db).catch(() => undefined);
    if (found) clock.correct(found);
  }
}

async function look(db: Pool): Promise<Look> {
  const askedAt = performance.now();
  const { rows } = await db.query<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  const answeredAt = performance.now();
  const [row] = rows;
  if (!row) throw new Error('PostgreSQL told no time');
  return { askedAt, answeredAt, remoteNow: row.now };
}
