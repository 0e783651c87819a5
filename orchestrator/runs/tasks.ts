/** The tasks of a run as a page shows them: its graph, how each task stands, and a flow's steps beside. */
import { SignalboxError } from '../../domain/errors.ts';
import type { Task } from '../../domain/run.ts';
import { isAttemptEnd } from '../../domain/task-graph.ts';
import { toRfc3339 } from '../../domain/time.ts';
import {
  GATED,
  isEnded,
  LIVE,
  liveStateOf,
  PENDING,
  READY,
  READY_FOR_LABELS,
  SKIPPED,
  SUCCEEDED,
  taskStateOf,
  WAITS_FOR_PAST,
} from '../dispatch/task-codes.ts';
import { readTaskWaits } from '../limits/waits-for.ts';
import type { Db } from '../store/connection.ts';
import {
  type LastAttemptRow,
  type LiveTaskRow,
  readLastEnds,
  readLiveTasks,
  readVector,
} from '../store/run-tasks.ts';
import { readSteps, type StepRow } from '../store/step-log.ts';
import { expandVersion, expansionOf, shownTasks } from './expansion.ts';
import { reasonOf } from './task-reason.ts';
import type { Version, Versions } from './versions.ts';

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
  const plain = versions.get(run.versionId);
  if (!plain) return [];
  const version = expandVersion(plain, run.expanded);
  const [live, ended, steps, waitOf] = await Promise.all([
    readLiveTasks(db, runId),
    readLastEnds(db, runId),
    version.tasks.some(({ kind }) => kind === 'flow') ? readSteps(db, runId) : [],
    readTaskWaits(db, runId, version),
  ]);
  const liveOf = new Map(live.map((row) => [row.task, row]));
  const endOf = new Map(ended.map((row) => [row.task, row]));
  const keys = version.tasks.map(({ key }) => key);
  const codeOf = (index: number) =>
    run.tasks?.[index] ?? (run.state === 'active' ? PENDING : SUCCEEDED);
  const tasks = shownTasks(version).map(([index, task]) => {
    const common = { ...toWords(version, keys, codeOf, index), key: task.key };
    if (task.map) return toMapped(common, version, codeOf, index, { liveOf, endOf });
    const [live, end] = [liveOf.get(index), endOf.get(index)];
    const waitsFor = live && WAITING.has(live.state) ? waitOf(index) : undefined;
    const shown = waitsFor ? { ...common, waitsFor } : common;
    return toTask(shown, codeOf(index), live, end, run.finishedAt);
  });
  const shown = steps.filter(({ key }) => !isAttemptEnd(key));
  return [...tasks, ...shown.map((step) => toStep(step, keys))];
}

type CommonPart = Pick<Task, 'key' | 'dependsOn' | 'mappedFrom' | 'reason' | 'waitsFor'>;

const WAITING: ReadonlySet<number> = new Set([READY, READY_FOR_LABELS, GATED]);

function toWords(
  version: Version,
  keys: readonly string[],
  codeOf: (index: number) => number,
  index: number,
): Omit<CommonPart, 'key'> {
  const { after = [], instance } = version.tasks[index] ?? {};
  const reason = reasonOf(version, codeOf, index);
  return {
    dependsOn: after.flatMap((upstream) => keys[upstream] ?? []),
    ...(reason === undefined ? {} : { reason }),
    ...(instance ? { mappedFrom: instance.task } : {}),
  };
}

/** A mapped task as its items make it stand. */
function toMapped(
  common: CommonPart,
  version: Version,
  codeOf: (index: number) => number,
  index: number,
  rows: {
    readonly liveOf: ReadonlyMap<number, LiveTaskRow>;
    readonly endOf: ReadonlyMap<number, LastAttemptRow>;
  },
): Task {
  const [, first, count] = expansionOf(version, index) ?? [index, -1, 0];
  const own = rows.endOf.get(index);
  const times: { readonly startedAt: Date | null; readonly finishedAt?: Date }[] = own ? [own] : [];
  for (let at = first; first >= 0 && at < first + count; at += 1) {
    const row = rows.liveOf.get(at) ?? rows.endOf.get(at);
    if (row) times.push(row);
  }
  const startedAt = minOf(times.flatMap((row) => row.startedAt ?? []));
  const finishedAt = maxOf(times.flatMap((row) => row.finishedAt ?? []));
  const code = codeOf(index);
  return {
    ...common,
    state: code === LIVE && startedAt === null ? 'ready' : taskStateOf(code),
    attempt: times.length > 0 ? 1 : 0,
    ...{ agent: null, queuedAt: null, error: own?.error ?? null, result: null },
    startedAt: toRfc3339(startedAt),
    finishedAt: isEnded(code) ? toRfc3339(finishedAt) : null,
  };
}

function minOf(times: readonly Date[]): Date | null {
  return times.reduce<Date | null>(
    (least, at) => (least === null || at < least ? at : least),
    null,
  );
}

function maxOf(times: readonly Date[]): Date | null {
  return times.reduce<Date | null>((most, at) => (most === null || at > most ? at : most), null);
}

function toTask(
  common: CommonPart,
  code: number,
  live: LiveTaskRow | undefined,
  end: LastAttemptRow | undefined,
  runFinishedAt: Date | null,
): Task {
  if (code === LIVE && live) {
    return {
      ...common,
      ...(live.state === WAITS_FOR_PAST ? { reason: 'depends-on-past' } : {}),
      state: liveStateOf(live.state),
      attempt: live.attempt,
      attempts: (end?.count ?? 0) + (live.startedAt === null ? 0 : 1),
      agent: live.agent,
      queuedAt: toRfc3339(live.readyAt),
      startedAt: toRfc3339(live.startedAt),
      finishedAt: null,
      error: end?.error ?? null,
      result: null,
    };
  }
  const attempts = { attempt: end?.attempt ?? 0, attempts: end?.count ?? 0 };
  if (code === PENDING) {
    // What an attempt left before the task was cleared counts no longer.
    const none = { agent: null, queuedAt: null, startedAt: null, finishedAt: null, error: null };
    return { ...common, ...attempts, ...none, state: 'pending', result: null };
  }
  const skip = code === SKIPPED && end?.error ? end.error : null;
  return {
    ...common,
    ...(skip === null ? {} : { reason: skip.message }),
    state: code === LIVE ? 'ready' : taskStateOf(code),
    ...attempts,
    agent: end?.agent ?? null,
    queuedAt: toRfc3339(end?.readyAt ?? null),
    startedAt: toRfc3339(end?.startedAt ?? null),
    // A task that never ran (cancelled, upstream failed) ended at the latest with its run.
    finishedAt: toRfc3339(end?.finishedAt ?? runFinishedAt),
    error: skip === null ? (end?.error ?? null) : null,
    result: code === SUCCEEDED ? (end?.result ?? null) : null,
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
