/** Waiting for the end of a run. */
import type { RunWaitReply } from '../../domain/agent-protocol.ts';
import { isTerminalRun } from '../../domain/run.ts';
import type { Hub } from '../events/hub.ts';
import { lookAgain } from '../events/look-again.ts';
import type { Db } from '../store/connection.ts';
import { readRunResult } from '../store/run-tasks.ts';
import { readRun } from './read.ts';

/** The run as it is when it has ended, or when the wait is over. */
export function waitForRun(
  deps: { readonly db: Db; readonly hub: Hub },
  runId: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<RunWaitReply> {
  return lookAgain(deps.hub, runId, waitMs, signal, async () => {
    const run = await readRun(deps.db, runId);
    const isOver = isTerminalRun(run.state);
    const result = isOver ? await readRunResult(deps.db, runId) : null;
    return { found: { run, result }, isOver, leftMs: null };
  });
}
