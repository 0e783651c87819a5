import { setTimeout as delay } from 'node:timers/promises';

/** What the work gives; something else where it fails, or is not there within the time. */
export async function within<T>(work: Promise<T>, otherwise: T, limitMs: number): Promise<T> {
  const abort = new AbortController();
  const late = delay(limitMs, otherwise, { signal: abort.signal }).catch(() => otherwise);
  try {
    return await Promise.race([work.catch(() => otherwise), late]);
  } finally {
    abort.abort();
  }
}
