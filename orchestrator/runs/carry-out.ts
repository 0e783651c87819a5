/**
 * Carries out what somebody wants of a run, in one transaction under its lock: tasks that are to run again become
 * pending, attempts under way are fenced (their token holds nothing any more, the agent is told to stop), ends that
 * were decided by hand are logged, and then the graph's own rules say what starts and whether the run has ended.
 * What would change is worked out first, so that a dry run is the same without the writing.
 */

import type { RunError, RunState, TaskState } from '../../domain/run.ts';
import type {
  ControlAction,
  EffectReason,
  RunEffect,
  TaskEffect,
} from '../../domain/run-control.ts';
import type { EpochMs } from '../../domain/time.ts';
import { versionsOfMark } from '../assets/marked.ts';
import type { RunPlan } from '../dispatch/plan.ts';
import {
  CANCELLED,
  FAILED,
  LIVE,
  liveStateOf,
  PENDING,
  pausedState,
  RUNNING,
  SUCCEEDED,
  taskStateOf,
  WAITS_FOR_RETRY,
} from '../dispatch/task-codes.ts';
import { collectChanges } from '../events/changes.ts';
import { byteaText } from '../store/columns.ts';
import type { Tx } from '../store/connection.ts';
import { storeBefore, storeExpanded } from '../store/expansion.ts';
import { reopenRun } from '../store/run-change.ts';
import {
  type DecidedAttempt,
  deleteLiveTasks,
  insertDecidedAttempts,
  insertRevoked,
  insertRunAction,
  type LiveTask,
  setEndedRun,
  setLiveRun,
  setRunResult,
} from '../store/run-control.ts';
import { forgetSteps } from '../store/run-history.ts';
import { insertLiveRuns } from '../store/run-insert.ts';
import { endRuns, type RunEnd } from '../store/run-live.ts';
import { readTaskResult } from '../store/run-tasks.ts';
import { insertLiveTasks, type NewLiveTask } from '../store/task-live.ts';
import { liveRows, settle } from './settle.ts';
import { isRunning, type Standing } from './standing.ts';
import type { Version } from './versions.ts';

/** An end that somebody gave to a task. */
export interface DecidedEnd {
  readonly code: typeof SUCCEEDED | typeof FAILED | typeof CANCELLED;
  readonly result: unknown;
  readonly error: RunError | null;
}

/** What somebody wants of a run. */
export interface Intent {
  readonly action: ControlAction;
  readonly reason: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
  /** How the tasks are to stand before the rules go on from there: pending for what is to run (again). */
  readonly vector: Uint8Array;
  readonly reasons: ReadonlyMap<number, EffectReason>;
  /** Ends to log; a task that ran or is to be taken for ended has one. */
  readonly ends: ReadonlyMap<number, DecidedEnd>;
  /** How the run ends, whatever its tasks say. */
  readonly end: { readonly state: 'succeeded' | 'failed'; readonly error: RunError | null } | null;
  /** Steps of a flow that are forgotten; `since` null means all. */
  readonly forget: { readonly since: Date | null; readonly keys: readonly string[] } | null;
}

/** The same run, some time later; worked out before anything is written. */
export interface Drafted {
  readonly standing: Standing;
  readonly intent: Intent;
  /** The run's graph from now on: it may have grown where a mapped task got its list. */
  readonly version: Version;
  readonly vector: Uint8Array;
  /** The last attempts of its tasks, those included that end with this. */
  readonly attempts: ReadonlyMap<number, number>;
  /** Mapped tasks that failed since their list cannot be used. */
  readonly refused: RunPlan['refused'];
  readonly start: readonly NewLiveTask[];
  readonly state: RunState;
  readonly ended: boolean;
  /** Rows of `task_live` that go. */
  readonly gone: readonly LiveTask[];
  readonly effect: RunEffect;
  /** Whether anything changes at all. */
  readonly changes: boolean;
}

/** What others should hear of once it is committed. */
export interface Wake {
  readonly runId: string;
  readonly workflow: string;
  readonly queues: ReadonlySet<string>;
  readonly sessions: readonly string[];
  readonly ended: boolean;
  readonly scheduled: boolean;
}

/** @param room whether a run that has ended may begin again at once */
export function draftIntent(standing: Standing, intent: Intent, room: boolean): Drafted {
  const scheduled = standing.live ? standing.state === 'scheduled' : !room;
  const attempts = attemptsAfter(standing, intent);
  const settled = settle({ ...standing, lastAttempts: attempts }, intent.vector, scheduled);
  const { version, vector } = settled;
  const end = intent.end?.state ?? settled.end;
  const start = end === null ? startRows(standing, version, settled.next) : [];
  const gone = [...standing.tasks.values()].filter(({ task }) => intent.vector[task] !== LIVE);
  const left = [...standing.tasks.values()].filter((row) => !gone.includes(row));
  const state = end ?? goingState(standing, scheduled, left);
  const after = { vector, started: new Set(start.map(({ task }) => task)) };
  const tasks = [...version.indexOf].flatMap(([key, task]) => {
    const one = effectOnTask(standing, intent, after, key, task);
    return one === null ? [] : [one];
  });
  const { runId, workflow, logicalDate } = standing.info;
  const stepsForgotten = intent.forget?.keys ?? [];
  const versions = versionsOfMark(
    standing.info,
    markedTasks(intent, version).map(({ task }) => task),
  );
  return {
    ...{ standing, intent, attempts, version, vector, gone, state, start },
    refused: settled.refused,
    ended: end !== null,
    effect: {
      ...{ runId, workflow, logicalDate, from: standing.state, to: state, tasks, stepsForgotten },
      ...(versions.length === 0 ? {} : { versions }),
    },
    changes: tasks.length > 0 || state !== standing.state || stepsForgotten.length > 0,
  };
}

/** Tasks that somebody says have succeeded, with the results that he gives. */
export function markedTasks(intent: Intent, version: Version) {
  return [...intent.ends].flatMap(([index, { code, result }]) => {
    const task = version.tasks[index];
    return task && code === SUCCEEDED ? [{ task, result }] : [];
  });
}

/** Attempts that somebody ends count as well. */
function attemptsAfter(standing: Standing, intent: Intent): ReadonlyMap<number, number> {
  const attempts = new Map(standing.lastAttempts);
  for (const { task, attempt, token } of standing.tasks.values()) {
    if (token !== null && intent.vector[task] !== LIVE) attempts.set(task, attempt);
  }
  for (const task of intent.ends.keys()) {
    attempts.set(task, standing.tasks.get(task)?.attempt ?? (attempts.get(task) ?? 0) + 1);
  }
  return attempts;
}

/** Live rows of what starts; in a paused run they wait until it is resumed. */
function startRows(
  { info, paused }: Standing,
  version: Version,
  next: RunPlan['next'],
): NewLiveTask[] {
  const rows = liveRows(info, version, next);
  return paused ? rows.map((row) => ({ ...row, state: pausedState(row.state) })) : rows;
}

function goingState(standing: Standing, scheduled: boolean, left: readonly LiveTask[]): RunState {
  if (!standing.live) return scheduled ? 'scheduled' : 'queued';
  if (standing.state !== 'retrying') return standing.state;
  const waits = [WAITS_FOR_RETRY, pausedState(WAITS_FOR_RETRY)];
  return left.some(({ state }) => waits.includes(state)) ? 'retrying' : 'running';
}

function effectOnTask(
  standing: Standing,
  intent: Intent,
  after: { readonly vector: Uint8Array; readonly started: ReadonlySet<number> },
  key: string,
  task: number,
): TaskEffect | null {
  const from = stateBefore(standing, task);
  const code = after.vector[task] ?? PENDING;
  const stays = code === LIVE && intent.vector[task] === LIVE;
  const to: TaskState = stays ? from : after.started.has(task) ? 'ready' : taskStateOf(code);
  const stopped = isRunning(standing, task) && intent.vector[task] !== LIVE;
  if (from === to && !stopped) return null;
  const other = code === LIVE ? 'can-start' : 'cannot-run';
  return { key, from, to, reason: intent.reasons.get(task) ?? other, stopped };
}

function stateBefore(standing: Standing, task: number): TaskState {
  const code = standing.vector[task] ?? PENDING;
  const row = standing.tasks.get(task);
  return code === LIVE ? (row ? liveStateOf(row.state) : 'running') : taskStateOf(code);
}

/** Writes what was drafted. The caller holds the run's lock. */
export async function writeDraft(
  tx: Tx,
  drafted: Drafted,
  actor: string,
  now: EpochMs,
): Promise<Wake> {
  const { standing, intent, gone } = drafted;
  const { runId, workflow } = standing.info;
  const attempts = decidedAttempts(drafted, now);
  const revoked = gone.flatMap(({ task, token, sessionId }) =>
    token === null || sessionId === null ? [] : [{ task, token, sessionId }],
  );
  await deleteLiveTasks(
    tx,
    runId,
    gone.map(({ task }) => task),
  );
  await insertRevoked(tx, runId, revoked, intent.reason ?? `${intent.action} by ${actor}`);
  await insertDecidedAttempts(tx, runId, attempts);
  if (intent.forget) await forgetSteps(tx, runId, intent.forget.since);
  const changes = collectChanges(now);
  for (const attempt of attempts) {
    changes.attempt(runId, { ...attempt, agent: attempt.agent ?? '' });
  }
  const told = await writeRun(tx, drafted, now);
  await storeGraph(tx, drafted);
  if (told) changes.run(runId, told);
  await insertLiveTasks(tx, drafted.start);
  await changes.append(tx);
  await insertRunAction(tx, {
    ...{ runId, at: now, actor, action: intent.action, reason: intent.reason },
    detail: intent.detail,
  });
  return {
    ...{ runId, workflow, ended: drafted.ended },
    queues: wokenQueues(drafted, gone),
    sessions: [...new Set(revoked.map(({ sessionId }) => sessionId))],
    scheduled: drafted.state === 'scheduled',
  };
}

/** Stores the run's part. @returns what listeners are told of the run; null where its state stays */
async function writeRun(tx: Tx, drafted: Drafted, now: EpochMs) {
  const { standing, intent, vector, state, ended } = drafted;
  const { runId, workflow, priority } = standing.info;
  const error = errorAfter(drafted);
  if (!ended && standing.live) {
    await setLiveRun(tx, { runId, state, tasks: vector, error });
    const { last } = standing.version;
    if (intent.reasons.has(last)) await setRunResult(tx, runId, intent.ends.get(last)?.result);
    return state === standing.state ? null : { state, startedAt: standing.startedAt };
  }
  if (!ended) {
    await reopenRun(tx, runId, vector[standing.version.last] === SUCCEEDED);
    await insertLiveRuns(tx, [
      {
        ...{ runId, workflow, priority, versionId: standing.versionId },
        ...{ state: state === 'scheduled' ? 'scheduled' : 'queued', tasks: byteaText(vector) },
      },
    ]);
    if (error !== null) await setLiveRun(tx, { runId, state, tasks: vector, error });
    return { state };
  }
  const end = state as RunEnd['state'];
  const tasks = end === 'succeeded' && vector.every((code) => code === SUCCEEDED) ? null : vector;
  const result = await resultOf(tx, drafted);
  const shown = intent.end?.error ?? (end === 'succeeded' ? null : error);
  if (!standing.live) {
    await setEndedRun(tx, { runId, state: end, tasks, error: shown, result });
    return state === standing.state ? null : { state, finishedAt: now, error: shown };
  }
  const startedAt = standing.startedAt ?? now;
  await endRuns(tx, [{ runId, state: end, startedAt, error: shown, result, tasks }], now);
  return { state, startedAt, finishedAt: now, error: shown };
}

/** What a run that goes on must know of before: attempts that its pending tasks had, instances of mapped tasks. */
async function storeGraph(
  tx: Tx,
  { standing, version, vector, ended, attempts }: Drafted,
): Promise<void> {
  if (version !== standing.version) await storeExpanded(tx, [{ runId: standing.runId, version }]);
  if (ended) return;
  // Items of a mapped task begin anew with it, however they stand now.
  const toStart = (task: number) =>
    vector[task] === PENDING || vector[version.tasks[task]?.instance?.of ?? -1] === PENDING;
  const before = [...attempts].filter(([task]) => toStart(task));
  await storeBefore(tx, standing.runId, version.expanded, new Map(before));
}

/** Result of the last task, where that has succeeded. */
async function resultOf(tx: Tx, { standing, intent, vector }: Drafted): Promise<unknown> {
  const { last } = standing.version;
  if (last < 0 || vector[last] !== SUCCEEDED) return null;
  const decided = intent.ends.get(last);
  if (decided) return decided.result ?? null;
  return (await readTaskResult(tx, standing.runId, last))?.result ?? null;
}

/** The error of a run is of its first failure; it goes when nothing that failed is left. */
function errorAfter({ standing, intent, vector, refused }: Drafted): RunError | null {
  const failed = [...intent.ends].find(([, { code }]) => code === FAILED || code === CANCELLED);
  const bad = vector.includes(FAILED) || vector.includes(CANCELLED);
  if (!bad) return refused[0]?.error ?? null;
  if (standing.error) return standing.error;
  if (!failed) return null;
  const [task, { error }] = failed;
  const key = standing.version.tasks[task]?.key ?? '';
  return { name: error?.name ?? 'TaskFailed', message: `${key}: ${error?.message ?? 'failed'}` };
}

function decidedAttempts({ intent, gone, attempts }: Drafted, now: EpochMs): DecidedAttempt[] {
  const rows = new Map(gone.map((row) => [row.task, row]));
  const stopped = gone.filter(({ token }) => token !== null).map(({ task }) => task);
  return [...new Set([...stopped, ...intent.ends.keys()])].map((task) => {
    const row = rows.get(task);
    const end = intent.ends.get(task);
    return {
      task,
      attempt: attempts.get(task) ?? 1,
      code: end?.code ?? CANCELLED,
      agent: row?.agent ?? null,
      readyAt: row?.readyAt ?? null,
      startedAt: row?.startedAt ?? null,
      finishedAt: now,
      result: end?.result ?? null,
      error: end
        ? end.error
        : { name: 'Cancelled', message: intent.reason ?? `stopped to ${intent.action} the task` },
    };
  });
}

/** Queues that have ready tasks, or room again for others. */
function wokenQueues({ standing, start }: Drafted, gone: readonly LiveTask[]): Set<string> {
  const queues = new Set(standing.paused ? [] : start.map(({ queue }) => queue));
  for (const { task, state } of gone) {
    const freed = standing.version.tasks[task];
    if (state === RUNNING && freed) queues.add(freed.pool === null ? freed.queue : '*');
  }
  return queues;
}
