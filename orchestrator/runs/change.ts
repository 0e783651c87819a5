/** Changes of a run that somebody asks for: cancel, retry; and the begin of one that waited for room. */
import { SignalboxError } from '../../domain/errors.ts';
import { canRunBecome } from '../../domain/run.ts';
import type { Clock } from '../../domain/time.ts';
import { cancelledError } from '../dispatch/draft.ts';
import { planCancel } from '../dispatch/plan.ts';
import { PENDING } from '../dispatch/task-codes.ts';
import { collectChanges } from '../events/changes.ts';
import { byteaText } from '../store/columns.ts';
import type { Db, Tx } from '../store/connection.ts';
import {
  deleteWaitingTasks,
  findLiveChildren,
  lockRun,
  lockScheduled,
  markCancelling,
  queueRuns,
  readLastAttempts,
  reopenRun,
  setCancelling,
} from '../store/run-change.ts';
import { countActiveRuns, insertLiveRuns, lockActiveRuns } from '../store/run-insert.ts';
import { endRuns, lockLiveRuns } from '../store/run-live.ts';
import { releaseHolds } from '../store/run-overlap.ts';
import { storeBefore } from '../store/expansion.ts';
import { readRunnable } from '../store/run-workflow.ts';
import { insertLiveTasks } from '../store/task-live.ts';
import { beginTasks, reopenedVector } from './begin.ts';
import { expandVersion } from './expansion.ts';
import type { RunInfos } from './run-info.ts';
import { readyTask } from './trigger.ts';

export interface ChangeDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
}

export interface Cancelled {
  /** Sessions that hold tasks of the run; it is cancelled once these have ended. */
  readonly sessions: readonly string[];
  readonly children: readonly string[];
  /** Queues that have something ready that tidies up. */
  readonly queues: ReadonlySet<string>;
  /** False where the run was not live. */
  readonly live: boolean;
}

/** Cancels what has not started, and asks for the end of what runs; what tidies up after it still runs. */
export async function cancelRun(
  deps: ChangeDeps,
  runId: string,
  reason: string,
): Promise<Cancelled> {
  await deps.infos.load(deps.db, [runId]);
  return deps.db.transaction(async (tx) => {
    const run = (await lockLiveRuns(tx, [runId])).get(runId);
    const info = deps.infos.get(runId);
    if (!run || !info) return { sessions: [], children: [], queues: new Set(), live: false };
    const version = expandVersion(info.version, run.expanded);
    const waiting = await deleteWaitingTasks(tx, runId, version.teardowns);
    const sessions = await markCancelling(tx, runId, reason, version.teardowns);
    const plan = planCancel(version, run.tasks, waiting, run.lastAttempts ?? undefined);
    const tasks = plan.vector;
    const started = plan.next.map((next) => ({
      ...readyTask(runId, version, next.task, info.priority),
      ...next,
    }));
    await insertLiveTasks(tx, started);
    if (plan.end === null) {
      await setCancelling(tx, runId, tasks, run.cancelReason ?? reason);
    } else {
      const now = deps.clock.now();
      const error = cancelledError(run.cancelReason ?? reason);
      const { startedAt } = run;
      const changes = collectChanges(now);
      changes.run(runId, { state: 'cancelled', startedAt, finishedAt: now, error });
      await endRuns(
        tx,
        [{ runId, state: 'cancelled', startedAt, error, result: null, tasks }],
        now,
      );
      await changes.append(tx);
    }
    const queues = new Set(started.map(({ queue }) => queue));
    return { sessions, queues, children: await findLiveChildren(tx, runId), live: true };
  });
}

/**
 * Runs again what failed or was cancelled.
 * @returns queues that have ready tasks
 * @throws SignalboxError `not-found`, `conflict` where the run did not fail
 */
export async function retryRun(deps: ChangeDeps, runId: string): Promise<ReadonlySet<string>> {
  await deps.infos.load(deps.db, [runId]);
  return deps.db.transaction(async (tx) => {
    const run = await lockRun(tx, runId);
    if (!run) throw new SignalboxError('not-found', `there is no run ${runId}`);
    const info = deps.infos.get(runId);
    if (run.engine !== 'signalbox' || !info || run.versionId === null) {
      throw new SignalboxError('conflict', `the run belongs to ${run.engine}`);
    }
    if (run.state === 'active' || !canRunBecome(run.state, 'queued')) {
      const state = run.state === 'active' ? 'not over' : run.state;
      throw new SignalboxError(
        'conflict',
        `the run is ${state}; only a failed or cancelled one can be retried`,
      );
    }
    const version = expandVersion(info.version, run.expanded);
    const pending = reopenedVector(version, run.tasks ?? new Uint8Array());
    const scheduled = !(await hasRoom(tx, run.workflow));
    const attempts = (await readLastAttempts(tx, [runId])).get(runId) ?? new Map<number, number>();
    const begun = scheduled
      ? { vector: pending, version, tasks: [], end: null }
      : beginTasks({ ...info, version }, pending, attempts);
    if (begun.end !== null) throw new SignalboxError('conflict', 'nothing of it can run again');
    await reopenRun(tx, runId);
    const state = scheduled ? 'scheduled' : 'queued';
    await insertLiveRuns(tx, [
      {
        ...{ runId, workflow: run.workflow, versionId: run.versionId, state },
        priority: run.priority,
        tasks: byteaText(begun.vector),
      },
    ]);
    const before = [...attempts].filter(([task]) => begun.vector[task] === PENDING);
    await storeBefore(tx, runId, begun.version.expanded, new Map(before));
    await insertLiveTasks(tx, begun.tasks);
    const changes = collectChanges(deps.clock.now());
    changes.run(runId, { state });
    await changes.append(tx);
    return new Set(begun.tasks.map(({ queue }) => queue));
  });
}

async function hasRoom(tx: Tx, workflow: string): Promise<boolean> {
  const limit = (await readRunnable(tx, [workflow])).get(workflow)?.maxActiveRuns ?? null;
  if (limit === null) return true;
  await lockActiveRuns(tx, [workflow]);
  return (await countActiveRuns(tx, workflow)) < limit;
}

/** Runs that begin in one transaction. */
const MAX_PROMOTED = 500;

/** Lets runs of the workflow begin that waited for room. */
export async function promoteRuns(
  deps: ChangeDeps,
  workflow: string,
): Promise<{ runs: readonly string[]; queues: ReadonlySet<string> }> {
  return deps.db.transaction(async (tx) => {
    const limit = (await readRunnable(tx, [workflow])).get(workflow)?.maxActiveRuns ?? null;
    await lockActiveRuns(tx, [workflow]);
    const active = limit === null ? 0 : await countActiveRuns(tx, workflow);
    const room = Math.min(MAX_PROMOTED, (limit ?? MAX_PROMOTED) - active);
    await releaseHolds(tx, workflow);
    const waiting = room > 0 ? await lockScheduled(tx, workflow, room) : [];
    const ids = waiting.map(({ runId }) => runId);
    if (ids.length === 0) return { runs: [], queues: new Set<string>() };
    await deps.infos.load(tx, ids);
    const attempts = await readLastAttempts(tx, ids);
    const changes = collectChanges(deps.clock.now());
    const begun = waiting.flatMap(({ runId, tasks, expanded }) => {
      const info = deps.infos.get(runId);
      if (!info) return [];
      changes.run(runId, { state: 'queued' });
      const run = { ...info, version: expandVersion(info.version, expanded) };
      return [{ runId, ...beginTasks(run, tasks, attempts.get(runId) ?? new Map()) }];
    });
    const tasks = begun.flatMap((run) => run.tasks);
    await queueRuns(
      tx,
      begun.map(({ runId, vector }) => ({ runId, tasks: vector })),
    );
    await insertLiveTasks(tx, tasks);
    await changes.append(tx);
    return { runs: ids, queues: new Set(tasks.map(({ queue }) => queue)) };
  });
}
