/** Waiting for something of a run: looked at again whenever the run changes, here or in another server, and now and then. */
import type { Hub } from './hub.ts';

const LOOK_EVERY_MS = 1_000;
const MAX_WAIT_MS = 60_000;

/** What a look found. */
export interface Look<T> {
  readonly found: T;
  /** Whether it is what was waited for. */
  readonly isOver: boolean;
  /** When it should be looked at again at the latest; null where only a change can end it. */
  readonly leftMs: number | null;
}

/** @returns what the last look found: what was waited for, or how it stands when the wait is over */
export async function lookAgain<T>(
  hub: Hub,
  runId: string,
  waitMs: number,
  signal: AbortSignal,
  look: () => Promise<Look<T>>,
): Promise<T> {
  const until = performance.now() + Math.min(Math.max(0, waitMs), MAX_WAIT_MS);
  let wake: () => void = () => undefined;
  let told = false;
  const unsubscribe = hub.onChange(({ topic, id }) => {
    if (topic !== 'run' || (id !== runId && id !== '*')) return;
    told = true;
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    while (true) {
      told = false;
      const { found, isOver, leftMs } = await look();
      const left = Math.min(until - performance.now(), leftMs ?? Number.POSITIVE_INFINITY);
      if (isOver || left <= 0 || signal.aborted) return found;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, LOOK_EVERY_MS));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (told) wake();
      });
    }
  } finally {
    unsubscribe();
  }
}
