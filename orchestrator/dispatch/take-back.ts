/**
 * Tasks whose holder is gone. A session ends when its lease does, or cleanly; what it held is found afterwards,
 * also where a server died in between, logged as lost, and made ready.
 */

import type { Assignment } from '../../domain/agent-protocol.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Reconciler } from '../service.ts';
import { findHeld, findOrphaned, type HeldTask, loseSessions } from '../store/agent-session.ts';
import type { Db } from '../store/connection.ts';
import type { EndReport } from './draft.ts';
import type { Lanes } from './lanes.ts';

export interface TakeBackDeps {
  readonly db: Db;
  readonly infos: RunInfos;
  readonly lanes: Lanes;
  log(message: string): void;
  changed(topic: 'agent', id: string): void;
}

type TakenBack = 'lost' | 'handed-back' | 'undelivered' | 'failed';

const MAX_AT_ONCE = 5_000;

/** Ends these tasks' attempts and makes the tasks ready again. @returns how many were taken back */
export async function takeBack(
  deps: TakeBackDeps,
  held: readonly HeldTask[],
  kind: TakenBack,
  reason?: string,
): Promise<number> {
  if (held.length === 0) return 0;
  await deps.infos.load(
    deps.db,
    held.map(({ runId }) => runId),
  );
  const reports = held
    .filter(({ runId }) => deps.infos.get(runId))
    .map((task) => toReport(task, kind, reason));
  await deps.lanes.submit(reports);
  return reports.filter(({ outcome }) => outcome === 'recorded').length;
}

function toReport(task: HeldTask, kind: TakenBack, reason: string | undefined): EndReport {
  const agent = task.agent ?? '';
  return {
    runId: task.runId,
    task: task.task,
    token: task.token,
    kind,
    final: false,
    result: null,
    error: errorOf(kind, agent, reason),
    startedAt: null,
    finishedAt: null,
    asset: null,
    agent,
    offer: null,
    outcome: 'lease-lost',
  };
}

/** Makes ready again what was to be told to a claim for which nobody waited any more. */
export function takeBackUntold(
  deps: TakeBackDeps,
  sessionId: string,
  assignments: readonly Assignment[],
): void {
  const tasks = assignments.flatMap(({ runId, taskKey, token }): HeldTask[] => {
    const task = deps.infos.get(runId)?.version.indexOf.get(taskKey);
    if (task === undefined) return [];
    return [{ runId, task, token, sessionId, agent: '', reason: null }];
  });
  takeBack(deps, tasks, 'undelivered').catch((error: Error) =>
    deps.log(`tasks that nobody heard of wait for the end of a lease: ${error.message}`),
  );
}

function errorOf(kind: TakenBack, agent: string, reason?: string) {
  if (kind === 'failed')
    return { name: 'EventLoopBlocked', message: reason ?? 'it blocked its agent' };
  if (kind !== 'lost') return { name: 'HandedBack', message: `agent ${agent} stopped` };
  return { name: 'AgentLost', message: reason ?? `the lease of agent ${agent} ran out` };
}

/** Takes back everything that sessions hold which have ended. */
async function takeBackOrphaned(deps: TakeBackDeps): Promise<number> {
  let count = 0;
  while (true) {
    const held = await findOrphaned(deps.db, MAX_AT_ONCE);
    count += await takeBack(deps, held, 'lost');
    if (held.length < MAX_AT_ONCE) return count;
  }
}

/** Ends sessions whose lease is over, and takes back what they held. */
export function createReaper(deps: TakeBackDeps, leaseMs: number): Reconciler {
  return {
    name: 'lease-reaper',
    everyMs: Math.max(50, Math.min(1_000, leaseMs / 5)),
    async run() {
      const lost = await loseSessions(deps.db, null);
      for (const name of lost) {
        deps.log(`the lease of agent ${name} ran out`);
        deps.changed('agent', name);
      }
      const count = await takeBackOrphaned(deps);
      if (count > 0) deps.log(`${count} tasks of lost agents are ready again`);
    },
  };
}

/**
 * Gives out anew what sessions are taken to run and do not know of: the answer that told it was lost.
 * @param told tokens of all that each holds, by session
 * @param minAgeMs younger ones may still be on their way
 */
export async function takeBackUndelivered(
  deps: TakeBackDeps,
  told: ReadonlyMap<string, readonly string[]>,
  minAgeMs: number,
): Promise<void> {
  const known = new Set([...told.values()].flat());
  const held = await findHeld(deps.db, [...told.keys()], minAgeMs);
  await takeBack(
    deps,
    held.filter(({ token }) => !known.has(token)),
    'handed-back',
  );
}
