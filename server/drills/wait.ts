/** Waiting for a condition of the real world, with a limit. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until the probe gives something other than undefined.
 * @throws Error that names what was waited for, with the last fault of the probe as its cause
 */
export async function waitFor<T>(
  what: string,
  limitMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const endMs = Date.now() + limitMs;
  let fault: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
      fault = undefined;
    } catch (error) {
      fault = error;
    }
    if (Date.now() > endMs) {
      throw new Error(`waited ${limitMs / 1000} s for ${what}`, { cause: fault });
    }
    await delay(150);
  }
}
