/**
 * Ends that a person gives: a task or a whole run counts as succeeded or failed, and what comes after goes on as if it
 * had ended so. An attempt under way is stopped and fenced. Also the cancelling of single tasks.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { CancelRequest, EffectReason, MarkRequest } from '../../domain/run-control.ts';
import { CANCELLED, FAILED, isEnded, isSkip, PENDING, SUCCEEDED } from '../dispatch/task-codes.ts';
import type { DecidedEnd, Intent } from './carry-out.ts';
import { decideAnew, refuseCancelling, wholeVector } from './clear.ts';
import { indexOfTask } from './select.ts';
import { instancesOf, regather } from './settle.ts';
import { isRunning, type Standing } from './standing.ts';

/** @throws SignalboxError `not-found`, `invalid-request` */
export function markIntent(standing: Standing, request: MarkRequest, actor: string): Intent {
  const { as, tasks, reason } = request;
  if ('result' in request && (as !== 'succeeded' || tasks?.length !== 1)) {
    throw new SignalboxError('invalid-request', 'a result goes with one task marked as succeeded');
  }
  const words = `marked as ${as} by ${actor}${reason === undefined ? '' : `: ${reason}`}`;
  const base = {
    action: 'mark' as const,
    reason: reason ?? null,
    detail: { as, tasks: tasks ?? null },
    forget: null,
  };
  return tasks === undefined
    ? { ...base, ...markedRun(standing, as, words) }
    : { ...base, ...markedTasks(standing, { ...request, tasks }, words) };
}

function endedAs(as: MarkRequest['as'], words: string, result?: unknown): DecidedEnd {
  return as === 'succeeded'
    ? { code: SUCCEEDED, result: result ?? null, error: null }
    : { code: FAILED, result: null, error: { name: 'MarkedFailed', message: words } };
}

function markedTasks(
  standing: Standing,
  request: MarkRequest & { tasks: readonly string[] },
  words: string,
): Pick<Intent, 'vector' | 'reasons' | 'ends' | 'end'> {
  const vector = wholeVector(standing);
  const reasons = new Map<number, EffectReason>();
  const ends = new Map<number, DecidedEnd>();
  for (const key of request.tasks) {
    const task = indexOfTask(standing.version, key);
    const end = endedAs(request.as, words, request.result);
    if (vector[task] === end.code && !('result' in request)) continue;
    reasons.set(task, 'selected');
    // A mapped task has no attempts of its own; what of it has not ended ends with it.
    if (!standing.version.tasks[task]?.map) ends.set(task, end);
    for (const each of openInstances(standing, task)) {
      reasons.set(each, 'selected');
      if (request.as === 'succeeded') ends.set(each, end);
      vector[each] = request.as === 'succeeded' ? SUCCEEDED : CANCELLED;
    }
    vector[task] = end.code;
  }
  if (standing.cancelReason === null) {
    decideAnew(standing, vector, reasons);
    for (const key of request.tasks) {
      const task = indexOfTask(standing.version, key);
      if (reasons.get(task) === 'selected') vector[task] = endedAs(request.as, words).code;
    }
  }
  return { vector, reasons, ends, end: null };
}

function openInstances({ version, vector }: Standing, task: number): number[] {
  return instancesOf(version, task).filter((each) => !isEnded(vector[each] ?? PENDING));
}

function markedRun(
  standing: Standing,
  as: MarkRequest['as'],
  words: string,
): Pick<Intent, 'vector' | 'reasons' | 'ends' | 'end'> {
  const vector = wholeVector(standing);
  const reasons = new Map<number, EffectReason>();
  const ends = new Map<number, DecidedEnd>();
  for (const task of standing.version.indexOf.values()) {
    const code = vector[task] ?? PENDING;
    const over = as === 'succeeded' ? code === SUCCEEDED || isSkip(code) : isEnded(code);
    if (over) continue;
    reasons.set(task, 'selected');
    if (as === 'failed' && !isRunning(standing, task)) {
      vector[task] = CANCELLED;
      continue;
    }
    const end = endedAs(as, words);
    if (!standing.version.tasks[task]?.map) ends.set(task, end);
    vector[task] = end.code;
  }
  const error = as === 'failed' ? { name: 'MarkedFailed', message: words } : null;
  return { vector, reasons, ends, end: { state: as, error } };
}

/**
 * Cancels single tasks: what waits never runs, what runs is stopped, and what comes after sees them as cancelled.
 * @throws SignalboxError `not-found`, `conflict` for a run that is over
 */
export function cancelTasksIntent(
  standing: Standing,
  request: CancelRequest & { tasks: readonly string[] },
): Intent {
  refuseCancelling(standing);
  if (!standing.live) throw new SignalboxError('conflict', `the run is ${standing.state}`);
  const vector = wholeVector(standing);
  const reasons = new Map<number, EffectReason>();
  for (const key of request.tasks) {
    const task = indexOfTask(standing.version, key);
    if (isEnded(vector[task] ?? PENDING)) continue;
    for (const each of [task, ...openInstances(standing, task)]) {
      vector[each] = CANCELLED;
      reasons.set(each, 'selected');
    }
  }
  const chosen = [...reasons.keys()];
  for (const task of regather(standing.version, vector, chosen)) {
    if (chosen.includes(task)) vector[task] = CANCELLED;
    else reasons.set(task, 'decided-anew');
  }
  return {
    ...{ action: 'cancel', reason: request.reason ?? null, detail: { tasks: request.tasks } },
    ...{ vector, reasons, ends: new Map(), end: null, forget: null },
  };
}
