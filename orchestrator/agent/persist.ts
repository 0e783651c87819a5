/** Calls that are made again until they get through: servers restart, lines are cut. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SignalboxError } from '../../domain/errors.ts';
import { ConnectionLost } from './transport.ts';

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 2_000;
const DOUBLINGS = 6;
/** A timer of more than this is over at once. */
export const LONGEST_TIMER_MS = 2_147_483_647;

/**
 * Makes the call until it answers; the delays grow, and differ between agents, so that a server which comes back
 * is not run over.
 * @param until aborted when there is no more sense in trying
 * @param onLost told of each failure
 * @throws what the server refuses, and the reason of `until`
 */
export async function persist<T>(
  call: () => Promise<T>,
  until: AbortSignal,
  onLost?: (error: ConnectionLost) => void,
): Promise<T> {
  for (let failures = 0; ; failures++) {
    until.throwIfAborted();
    try {
      return await unlessAborted(call(), until);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      onLost?.(error);
      await pause(Math.max(error.retryAfterMs, backoffMs(failures)), until);
    }
  }
}

/** A call on a dead line may hang for long; who has no more use for it does not wait. */
export async function unlessAborted<T>(call: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([call, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function backoffMs(failures: number): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, DOUBLINGS));
  return ceiling * (0.5 + Math.random() / 2);
}

/** Waits; ends early with the signal's own reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

/** Whether the server knows the session no more, or never will. */
export function isSessionGone(error: SignalboxError): boolean {
  return ['lease-lost', 'not-found', 'unauthenticated', 'forbidden'].includes(error.code);
}

/** Waits for work, and no longer than this. */
export async function withinMs(work: Promise<unknown>, limitMs: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, pause(limitMs, over.signal).catch(() => undefined)]);
  over.abort();
}
