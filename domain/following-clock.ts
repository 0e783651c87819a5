/**
 * A clock that keeps to another one, far away, whose time is asked for now and then: a server keeps to PostgreSQL's,
 * an agent to its server's, so that what they write and compare is of one clock, however far their machines' differ.
 * Between two looks it goes by a monotonic clock, so that a step of the machine's own is not noticed at all. The
 * error of a look is at most half its round trip, so a slow answer changes nothing that a quick one said better.
 * Small corrections backwards are waited out: time stands still and does not go back.
 */
import type { Clock, EpochMs } from './time.ts';

/** Steps back up to this are waited out; larger ones are steps of the followed clock, and are taken. */
const WAITED_OUT_MS = 2_000;
/** What a monotonic clock may drift in a second; after a while a slow look says more than an old quick one. */
const DRIFT_MS_A_SECOND = 0.1;

/** One look: the time there, and the monotonic time (ms) right before and after the question. */
export interface Look {
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly remoteNow: EpochMs;
}

export interface FollowingClock extends Clock {
  /** Takes what a look said. */
  correct(look: Look): void;
}

/**
 * @param monotonicNow milliseconds that never step, of any origin
 * @param errorMs how far off the first look may be; of a guess, Infinity
 */
export function createFollowingClock(
  first: Look,
  monotonicNow: () => number,
  errorMs: number = errorOf(first),
): FollowingClock {
  let offset = offsetOf(first);
  let error = errorMs;
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

function offsetOf({ askedAt, answeredAt, remoteNow }: Look): number {
  return remoteNow - (askedAt + answeredAt) / 2;
}

function errorOf({ askedAt, answeredAt }: Look): number {
  return (answeredAt - askedAt) / 2;
}
