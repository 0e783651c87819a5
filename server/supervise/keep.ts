/** Keeps a part running: one that ends by itself is started again, after ever longer pauses while it fails. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningPart } from './child.ts';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** A part that ran this long counts as healthy. */
const HEALTHY_MS = 30_000;

export interface Kept<T> {
  readonly first: T;
  stop(): Promise<void>;
}

/**
 * Starts a part and keeps it.
 * @param start is called anew for each start; gets what the first start said
 * @throws what the first start fails with
 */
export async function keep<T>(
  name: string,
  start: (first: T | undefined) => Promise<RunningPart<T>>,
  log: (message: string) => void,
): Promise<Kept<T>> {
  const abort = new AbortController();
  const { signal } = abort;
  let part = await start(undefined);
  const first = part.ready;

  async function watch(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const startedAt = performance.now();
      const how = await part.exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt > HEALTHY_MS) pauseMs = FIRST_PAUSE_MS;
      log(`${name} ended (${how}): it is started again`);
      for (let running = false; !running && !signal.aborted; ) {
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
        if (signal.aborted) return;
        running = await start(first).then(
          async (started) => {
            part = started;
            if (signal.aborted) await started.stop();
            else log(`${name} runs again`);
            return true;
          },
          (error: unknown) => {
            log(`${name} does not start: ${error instanceof Error ? error.message : error}`);
            return false;
          },
        );
      }
    }
  }

  const watching = watch();
  return {
    first,
    async stop() {
      abort.abort();
      await part.stop();
      await watching;
    },
  };
}
