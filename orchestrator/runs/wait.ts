/** Waiting for the end of a run: told at once where this server or another ended it, and looked up now and then. */

import type { RunWaitReply } from '../../domain/agent-protocol.ts';
import { isTerminalRun, type Run } from '../../domain/run.ts';
import type { Hub } from '../events/hub.ts';
import type { Db } from '../store/connection.ts';
import { readRunResult } from '../store/run-tasks.ts';
import { readRun } from './read.ts';

const LOOK_EVERY_MS = 1_000;
const MAX_WAIT_MS = 60_000;

/** The run as it is when it has ended, or when the wait is over. */
export async function waitForRun(
  deps: { readonly db: Db; readonly hub: Hub },
  runId: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<RunWaitReply> {
  const until = performance.now() + Math.min(Math.max(0, waitMs), MAX_WAIT_MS);
  let wake: () => void = () => undefined;
  let told = false;
  const unsubscribe = deps.hub.onChange(({ topic, id }) => {
    if (topic !== 'run' || (id !== runId && id !== '*')) return;
    told = true;
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    while (true) {
      told = false;
      const run: Run = await readRun(deps.db, runId);
      const left = until - performance.now();
      if (isTerminalRun(run.state)) return { run, result: await readRunResult(deps.db, runId) };
      if (left <= 0 || signal.aborted) return { run, result: null };
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
