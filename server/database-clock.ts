/**
 * The server's clock keeps to PostgreSQL's: what several servers write and compare is then of one clock, however
 * far theirs differ. Between two looks it goes by the process's monotonic clock, so that a step of the machine's
 * clock is not noticed at all. The error of a look is at most half its round trip, so a slow answer changes
 * nothing that a quick one said better. Small corrections backwards are waited out: time stands still and does
 * not go back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Clock, EpochMs } from '../domain/time.ts';

const LOOK_EVERY_MS = 5_000;
/** Looks at the start, of which the quickest counts. */
const FIRST_LOOKS = 3;
/** Steps back up to this are waited out; larger ones are steps of PostgreSQL's own clock, and are taken. */
const WAITED_OUT_MS = 2_000;
/** What the monotonic clock may drift in a second; after a while a slow look says more than an old quick one. */
const DRIFT_MS_A_SECOND = 0.1;

/** One look: PostgreSQL's time, and the monotonic time (ms) right before and after the question. */
export interface Look {
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly databaseNow: EpochMs;
}

export interface FollowingClock extends Clock {
  /** Takes what a look said. */
  correct(look: Look): void;
}

/** @param monotonicNow milliseconds that never step, of any origin */
export function createFollowingClock(first: Look, monotonicNow: () => number): FollowingClock {
  let offset = offsetOf(first);
  let error = errorOf(first);
  let lookedAt = first.answeredAt;
  let latest = Number.NEGATIVE_INFINITY;
  return {
    now() {
      const now = Math.floor(monotonicNow() + offset);
      if (now < latest && latest - now <= WAITED_OUT_MS) return latest;
      latest = now;
      return now;
    },
    correct(look) {
      const age = (look.answeredAt - lookedAt) / 1_000;
      const difference = Math.abs(offsetOf(look) - offset);
      // Within what both looks may be wrong by, the better one stays.
      const agree = difference <= errorOf(look) + error;
      if (agree && errorOf(look) > error + age * DRIFT_MS_A_SECOND) return;
      offset = offsetOf(look);
      error = errorOf(look);
      lookedAt = look.answeredAt;
    },
  };
}

function offsetOf({ askedAt, answeredAt, databaseNow }: Look): number {
  return databaseNow - (askedAt + answeredAt) / 2;
}

function errorOf({ askedAt, answeredAt }: Look): number {
  return (answeredAt - askedAt) / 2;
}

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
  return { askedAt, answeredAt, databaseNow: row.now };
}
