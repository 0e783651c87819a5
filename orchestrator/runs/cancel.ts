/**
 * Cancelling a run: what has not started never does, what runs is told to stop, and the run is cancelled once that has
 * ended. What tidies up still runs; cancelling once more ends that too. Runs that it started and waits for are
 * cancelled with it.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { TaskEffect } from '../../domain/run-control.ts';
import { cancelledError } from '../dispatch/draft.ts';
import { planCancel, type RunPlan } from '../dispatch/plan.ts';
import { CANCELLED, LIVE, liveStateOf, PENDING, taskStateOf } from '../dispatch/task-codes.ts';
import { collectChanges } from '../events/changes.ts';
import type { Tx } from '../store/connection.ts';
import { storeBefore } from '../store/expansion.ts';
import { findLiveChildren, markCancelling, setCancelling } from '../store/run-change.ts';
import {
  deleteLiveTasks,
  insertRunAction,
  type LiveTask,
  resumeLiveRun,
} from '../store/run-control.ts';
import { endRuns } from '../store/run-live.ts';
import { insertLiveTasks } from '../store/task-live.ts';
import type { ChangeDeps } from './change.ts';
import type { RunPart } from './effect.ts';
import { liveRows } from './settle.ts';
import { isRunning, lockStanding, type Standing } from './standing.ts';

interface Cancelled {
  /** Null where the run was not live. */
  readonly part: RunPart | null;
  /** Sessions that hold tasks of the run; it is cancelled once these have ended. */
  readonly sessions: readonly string[];
  /** Unfinished runs that it started. */
  readonly children: readonly string[];
  /** Queues of tasks that tidy up, and of slots that are free again. */
  readonly queues: ReadonlySet<string>;
}

interface CancelAsked {
  readonly reason: string;
  readonly dryRun: boolean;
  readonly actor: string;
}

interface CancelPlan {
  readonly plan: RunPlan;
  /** Rows that go. */
  readonly waiting: readonly LiveTask[];
  /** What runs and is told to stop. */
  readonly stopping: readonly LiveTask[];
}

/** @throws SignalboxError `not-found`, `conflict` for a run of another engine */
function cancelRun(
  deps: ChangeDeps,
  runId: string,
  { reason, dryRun, actor }: CancelAsked,
): Promise<Cancelled> {
  return deps.db.transaction(async (tx) => {
    const standing = await lockStanding(tx, deps.infos, runId);
    if (!standing.live)
      return { part: null, sessions: [], children: [], queues: new Set<string>() };
    const cancel = planOf(standing);
    const part = { effect: effectOf(standing, cancel), version: standing.version };
    const children = await findLiveChildren(tx, runId);
    if (!dryRun) {
      await write(tx, deps, standing, cancel, standing.cancelReason ?? reason);
      await insertRunAction(tx, {
        ...{ runId, at: deps.clock.now(), actor, action: 'cancel', reason, detail: {} },
      });
    }
    const sessions = cancel.stopping.flatMap(({ sessionId }) => sessionId ?? []);
    const queues = new Set(
      cancel.plan.next.flatMap(({ task }) => standing.version.tasks[task]?.queue ?? []),
    );
    return { part, sessions: [...new Set(sessions)], children, queues };
  });
}

function planOf({ version, vector, tasks, lastAttempts, cancelReason }: Standing): CancelPlan {
  // Whoever asks again, while it tidies up, wants that to end as well.
  const everything = cancelReason !== null;
  const rows = [...tasks.values()].filter(
    ({ task }) => everything || !version.tasks[task]?.teardown,
  );
  const waiting = rows.filter(({ token }) => token === null);
  const plan = planCancel(
    version,
    vector,
    waiting.map(({ task }) => task),
    everything,
    lastAttempts,
  );
  return { plan, waiting, stopping: rows.filter(({ token }) => token !== null) };
}

async function write(
  tx: Tx,
  deps: ChangeDeps,
  { runId, info, version, startedAt, lastAttempts }: Standing,
  { plan, waiting, stopping }: CancelPlan,
  reason: string,
): Promise<void> {
  const tasksOf = (rows: readonly LiveTask[]) => rows.map(({ task }) => task);
  await deleteLiveTasks(tx, runId, tasksOf(waiting));
  await markCancelling(tx, runId, tasksOf(stopping), reason);
  if (plan.end === null) {
    // Nothing is left to be held back: what still starts tidies up.
    await resumeLiveRun(tx, runId);
    await setCancelling(tx, runId, plan.vector, reason);
    const pending = new Map([...lastAttempts].filter(([task]) => plan.vector[task] === PENDING));
    await storeBefore(tx, runId, version.expanded, pending);
    await insertLiveTasks(tx, liveRows(info, plan.version, plan.next));
    return;
  }
  const now = deps.clock.now();
  const error = cancelledError(reason);
  const changes = collectChanges(now);
  changes.run(runId, { state: 'cancelled', startedAt, finishedAt: now, error });
  const end = { runId, state: 'cancelled' as const, startedAt, error, result: null };
  await endRuns(tx, [{ ...end, tasks: plan.vector }], now);
  await changes.append(tx);
}

function effectOf(standing: Standing, { plan, stopping }: CancelPlan): RunPart['effect'] {
  const { info, version, vector, tasks } = standing;
  const told = new Set(stopping.map(({ task }) => task));
  const started = new Set(plan.next.map(({ task }) => task));
  const effects = [...version.indexOf].flatMap(([key, task]): TaskEffect[] => {
    const code = vector[task] ?? PENDING;
    const row = tasks.get(task);
    const from = code === LIVE && row ? liveStateOf(row.state) : taskStateOf(code);
    const stopped = told.has(task) && isRunning(standing, task);
    const after = stopped ? CANCELLED : (plan.vector[task] ?? PENDING);
    if (after === code) return [];
    const to = started.has(task) ? 'ready' : taskStateOf(after);
    const reason = started.has(task) ? 'can-start' : 'selected';
    return [{ key, from, to, reason, stopped }];
  });
  const { runId, workflow, logicalDate } = info;
  const run = { runId, workflow, logicalDate, from: standing.state, to: 'cancelled' as const };
  return { ...run, tasks: effects, stepsForgotten: [] };
}

/** Whom to tell of a cancellation. */
export interface CancelTelling {
  cancelling(sessions: readonly string[]): void;
  ready(queues: ReadonlySet<string>): void;
  changed(runId: string): void;
  promote(workflow: string): void;
}

/** Runs below a run that are cancelled with it; more are a mistake. */
const MAX_FAMILY = 10_000;

/** Cancels a run and the runs that it waits for. @returns what becomes of each */
export async function cancelWithChildren(
  deps: ChangeDeps,
  runId: string,
  asked: CancelAsked,
  tell: CancelTelling,
): Promise<RunPart[]> {
  const parts: RunPart[] = [];
  const left = [{ id: runId, reason: asked.reason }];
  for (let next = left.shift(); next !== undefined; next = left.shift()) {
    const { part, sessions, children, queues } = await cancelRun(deps, next.id, {
      ...asked,
      reason: next.reason,
    });
    if (part) parts.push(part);
    if (parts.length > MAX_FAMILY) {
      throw new SignalboxError('conflict', `the run has more than ${MAX_FAMILY} runs below it`);
    }
    left.push(...children.map((id) => ({ id, reason: 'its parent was cancelled' })));
    if (!part || asked.dryRun) continue;
    tell.cancelling(sessions);
    tell.ready(queues);
    tell.changed(next.id);
    tell.promote(part.effect.workflow);
  }
  return parts;
}
