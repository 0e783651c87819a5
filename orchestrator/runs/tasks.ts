/** The tasks of a run as a page shows them: its graph, how each task stands, and a flow's steps beside. */
import { SignalboxError } from '../../domain/errors.ts';
import type { Task } from '../../domain/run.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { GraphTask } from '../catalog/graph.ts';
import { LIVE, liveStateOf, PENDING, SUCCEEDED, taskStateOf } from '../dispatch/task-codes.ts';
import type { Db } from '../store/connection.ts';
import {
  type LastAttemptRow,
  type LiveTaskRow,
  readLastEnds,
  readLiveTasks,
  readVector,
} from '../store/run-tasks.ts';
import { readSteps, type StepRow } from '../store/step-log.ts';
import type { Versions } from './versions.ts';

/** @throws SignalboxError `not-found` */
export async function readTasks(
  db: Db,
  versions: Versions,
  runId: string,
): Promise<readonly Task[]> {
  const run = await readVector(db, runId);
  if (!run) throw new SignalboxError('not-found', `there is no run ${runId}`);
  if (run.versionId === null) return [];
  await versions.load(db, [run.versionId]);
  const version = versions.get(run.versionId);
  if (!version) return [];
  const [live, ended, steps] = await Promise.all([
    readLiveTasks(db, runId),
    readLastEnds(db, runId),
    version.tasks.some(({ kind }) => kind === 'flow') ? readSteps(db, runId) : [],
  ]);
  const liveOf = new Map(live.map((row) => [row.task, row]));
  const endOf = new Map(ended.map((row) => [row.task, row]));
  const keys = version.tasks.map(({ key }) => key);
  const tasks = version.tasks.map((task, index) =>
    toTask(
      task,
      keys,
      run.tasks?.[index] ?? (run.state === 'active' ? PENDING : SUCCEEDED),
      liveOf.get(index),
      endOf.get(index),
      run.finishedAt,
    ),
  );
  return [...tasks, ...steps.map((step) => toStep(step, keys))];
}

function toTask(
  task: GraphTask,
  keys: readonly string[],
  code: number,
  live: LiveTaskRow | undefined,
  end: LastAttemptRow | undefined,
  runFinishedAt: Date | null,
): Task {
  const dependsOn = task.after.flatMap((index) => keys[index] ?? []);
  const common = { key: task.key, dependsOn };
  if (code === LIVE && live) {
    return {
      ...common,
      state: liveStateOf(live.state),
      attempt: live.attempt,
      agent: live.agent,
      queuedAt: toRfc3339(live.readyAt),
      startedAt: toRfc3339(live.startedAt),
      finishedAt: null,
      error: end?.error ?? null,
      result: null,
    };
  }
  return {
    ...common,
    state: code === LIVE ? 'ready' : taskStateOf(code),
    attempt: end?.attempt ?? 0,
    agent: end?.agent ?? null,
    queuedAt: toRfc3339(end?.readyAt ?? null),
    startedAt: toRfc3339(end?.startedAt ?? null),
    // A task that never ran (cancelled, upstream failed) ended at the latest with its run.
    finishedAt: toRfc3339(end?.finishedAt ?? runFinishedAt),
    error: end?.error ?? null,
    result: end?.result ?? null,
  };
}

function toStep(step: StepRow, keys: readonly string[]): Task {
  return {
    key: step.key,
    state: step.state,
    attempt: 1,
    dependsOn: keys.slice(0, 1),
    agent: null,
    queuedAt: null,
    startedAt: step.startedAt.toISOString(),
    finishedAt: step.finishedAt.toISOString(),
    error: step.error,
    result: step.result,
  };
}
