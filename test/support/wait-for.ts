import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';

/** How long to wait, how often to look, and what is waited for (stands in the error). */
export interface WaitOptions {
  timeoutMs?: number;
  intervalMs?: number;
  what?: string;
}

type Falsy = undefined | null | false | 0 | '';

/**
 * Looks again and again until `condition` gives something truthy, and returns that. A condition that
 * throws counts as 'not yet'.
 * @throws Error after `timeoutMs` (10 s unless told), naming what was waited for, the last value and
 * the last error
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, Falsy>> {
  const { timeoutMs = 10_000, intervalMs = 20, what = 'the condition' } = options;
  const deadline = performance.now() + timeoutMs;
  let lastValue: unknown;
  let lastError: unknown;
  while (true) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, Falsy>;
      lastValue = value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() >= deadline) {
      const seen =
        lastError === undefined ? `last value ${inspect(lastValue)}` : `last error below`;
      throw new Error(`waited ${timeoutMs} ms for ${what} in vain: ${seen}`, { cause: lastError });
    }
    await delay(intervalMs);
  }
}
