/** What was started, to be ended in the opposite order; one that fails or hangs does not hold up the others. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Stops {
  push(what: string, end: () => unknown): void;
  /** Ends all; `limitMs` is the most that each may take. Safe to call twice. */
  run(limitMs: number): Promise<void>;
}

export function createStops(log: (message: string) => void): Stops {
  const ends: { what: string; end: () => unknown }[] = [];
  let running: Promise<void> | undefined;

  async function runAll(limitMs: number): Promise<void> {
    for (let last = ends.pop(); last !== undefined; last = ends.pop()) {
      const { what, end } = last;
      const abort = new AbortController();
      const late = delay(limitMs, 'late', { signal: abort.signal }).catch(() => 'in time');
      try {
        if ((await Promise.race([Promise.resolve(end()), late])) === 'late') {
          log(`${what} did not end within ${limitMs} ms`);
        }
      } catch (error) {
        log(`${what} did not end cleanly: ${error}`);
      } finally {
        abort.abort();
      }
    }
  }

  return {
    push: (what, end) => void ends.push({ what, end }),
    run(limitMs) {
      running ??= runAll(limitMs);
      return running;
    },
  };
}
