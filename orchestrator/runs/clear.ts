/**
 * Clearing: chosen tasks run again, whatever became of them, and so does what never ran because of them. Results of
 * cleared tasks are no longer served; attempts go on counting. What is under way is left alone unless that is asked
 * for, since its effects may be half done; then its token is taken and the agent told to stop before anything else
 * can hold the task.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { RunState } from '../../domain/run.ts';
import type { ClearRequest, EffectReason, RetryRequest } from '../../domain/run-control.ts';
import { isFailure, isSkip, PENDING } from '../dispatch/task-codes.ts';
import type { Tx } from '../store/connection.ts';
import { findChildStart, findStepStart, findSteps } from '../store/run-history.ts';
import { reopenedVector } from './begin.ts';
import type { Intent } from './carry-out.ts';
import { type Chosen, chooseTasks, neverRanBehind } from './select.ts';
import { instancesOf, regather } from './settle.ts';
import { isRunning, type Standing } from './standing.ts';

const MAX_NAMED = 10;

/** @throws SignalboxError `not-found` for unknown tasks, `conflict` where the run is in no state for it */
export async function clearIntent(
  tx: Tx,
  standing: Standing,
  request: ClearRequest,
): Promise<Intent> {
  refuseCancelling(standing);
  const { version, vector } = standing;
  const steps = await stepsAmong(tx, standing, request.tasks ?? []);
  const chosen = chooseTasks(version, vector, {
    ...request,
    ...(steps ? { tasks: steps.tasks } : {}),
  });
  addTidying(standing, chosen);
  refuseRunning(standing, chosen, request.force ?? false);
  const forget = steps ?? (await allSteps(tx, standing, chosen));
  return {
    action: 'clear',
    reason: request.reason ?? null,
    detail: { ...shown(request), tasks: request.tasks ?? null },
    ...pendingAgain(standing, chosen),
    ...{ ends: new Map(), end: null },
    forget: forget && { since: forget.since, keys: forget.keys },
  };
}

function shown({ downstream, upstream, onlyFailed, force }: ClearRequest) {
  return { downstream, upstream, onlyFailed, force };
}

/**
 * Retrying a run that has ended: what did not succeed runs again; with `from` that task and all that follows, with
 * `all` everything.
 * @throws SignalboxError `not-found`, `conflict`
 */
export async function retryIntent(
  tx: Tx,
  standing: Standing,
  request: RetryRequest,
): Promise<Intent> {
  const { version, vector, state } = standing;
  const chosen: Chosen = new Map();
  let forget: Intent['forget'] = null;
  const widely = request.all === true || request.from !== undefined;
  if (standing.live) throw refusedRetry('not over');
  if (!widely && state !== 'failed' && state !== 'cancelled') throw refusedRetry(state);
  const kept = reopenedVector(version, vector);
  if (request.all) {
    for (const task of version.indexOf.values()) chosen.set(task, 'selected');
    forget = await allSteps(tx, standing, chosen);
  } else if (request.from !== undefined) {
    const steps = await stepsAmong(tx, standing, [request.from]);
    const tasks = steps?.tasks ?? [request.from];
    for (const [task, reason] of chooseTasks(version, vector, { tasks, downstream: true })) {
      chosen.set(task, reason);
    }
    forget = steps ?? (await allSteps(tx, standing, chosen));
  }
  // Of a mapped task that failed, items that succeeded stay.
  const whole = new Set(chosen.keys());
  for (const task of version.indexOf.values()) {
    if (kept[task] === PENDING && !chosen.has(task)) chosen.set(task, 'selected');
  }
  if (chosen.size === 0) {
    throw new SignalboxError(
      'conflict',
      'nothing of the run is left to do: say from which task it is to run again, or that all of it is',
    );
  }
  addTidying(standing, chosen);
  return {
    action: 'retry',
    reason: request.reason ?? null,
    detail: { from: request.from, all: request.all },
    ...pendingAgain(standing, chosen, whole),
    ...{ ends: new Map(), end: null, forget },
  };
}

function refusedRetry(state: RunState | 'not over'): SignalboxError {
  return new SignalboxError(
    'conflict',
    `the run is ${state}; only a failed or cancelled one can be retried`,
  );
}

/** A chosen task's setups and teardowns run with it: what they made or took away is needed again. */
function addTidying({ version, vector }: Standing, chosen: Chosen): void {
  for (const teardown of version.teardowns) {
    const setups = version.tasks[teardown]?.teardown?.setups ?? [];
    const gates = version.gates[teardown] ?? [];
    const within = [...setups, ...gates].some((task) => chosen.has(task));
    if (!within && !chosen.has(teardown)) continue;
    for (const task of [...setups, teardown]) {
      if (!chosen.has(task) && vector[task] !== PENDING) chosen.set(task, 'setup-teardown');
    }
  }
}

/**
 * The vector with these tasks pending, and with what never ran because of them.
 * @param whole those of them whose items all run again
 */
function pendingAgain(
  standing: Standing,
  chosen: Chosen,
  whole: ReadonlySet<number> = new Set(chosen.keys()),
) {
  const { version } = standing;
  const vector = wholeVector(standing);
  const reasons = new Map<number, EffectReason>(chosen);
  for (const [task, reason] of chosen) {
    for (const each of whole.has(task) ? instancesOf(version, task) : []) {
      if (!reasons.has(each)) reasons.set(each, reason);
    }
  }
  for (const task of reasons.keys()) vector[task] = PENDING;
  decideAnew(standing, vector, reasons);
  return { vector, reasons };
}

/**
 * Makes pending what never ran, for the reason that something before it failed or was skipped, and has mapped tasks
 * look at their instances again.
 * @param reasons of the tasks that were chosen; gets the others
 */
export function decideAnew(
  standing: Standing,
  vector: Uint8Array,
  reasons: Map<number, EffectReason>,
): void {
  const { version, lastAttempts } = standing;
  const neverRan = (task: number) => {
    const code = standing.vector[task] ?? PENDING;
    return (isSkip(code) || isFailure(code)) && !lastAttempts.has(task);
  };
  const mapped = regather(version, vector, reasons.keys());
  for (const task of mapped) if (!reasons.has(task)) reasons.set(task, 'decided-anew');
  for (const task of neverRanBehind(version, [...reasons.keys()], neverRan)) {
    for (const each of [task, ...instancesOf(version, task).filter(neverRan)]) {
      if (reasons.has(each)) continue;
      vector[each] = PENDING;
      reasons.set(each, 'decided-anew');
    }
  }
}

/** The vector with a place for every task of the run. */
export function wholeVector({ version, vector }: Standing): Uint8Array {
  return Uint8Array.from({ length: version.tasks.length }, (_, task) => vector[task] ?? PENDING);
}

/** @throws SignalboxError `conflict` */
export function refuseCancelling({ cancelReason }: Standing): void {
  if (cancelReason === null) return;
  throw new SignalboxError('conflict', 'the run is being cancelled; wait until that has ended');
}

function refuseRunning(standing: Standing, chosen: Chosen, force: boolean): void {
  const running = [...chosen.keys()]
    .flatMap((task) => [task, ...instancesOf(standing.version, task)])
    .filter((task) => isRunning(standing, task));
  if (force || running.length === 0) return;
  const keys = running.slice(0, MAX_NAMED).map((task) => standing.version.tasks[task]?.key);
  const more = running.length > MAX_NAMED ? ` and ${running.length - MAX_NAMED} more` : '';
  throw new SignalboxError(
    'conflict',
    `${keys.join(', ')}${more} ${running.length === 1 ? 'is' : 'are'} running: wait, or clear with force, which stops what runs`,
  );
}

interface Forgotten {
  readonly tasks: readonly string[];
  readonly since: Date | null;
  readonly keys: readonly string[];
}

/**
 * Where keys name recorded steps of a flow: the flow's own task, and what it forgets, from the first of these steps
 * on. Null where they name tasks.
 */
async function stepsAmong(
  tx: Tx,
  { version, runId }: Standing,
  keys: readonly string[],
): Promise<Forgotten | null> {
  const flow = version.tasks.find(({ kind }) => kind === 'flow');
  const steps = keys.filter((key) => !version.indexOf.has(key));
  if (!flow || steps.length === 0) return null;
  const starts: Date[] = [];
  for (const key of steps) {
    const at = (await findStepStart(tx, runId, key)) ?? (await findChildStart(tx, runId, key));
    if (at === null) {
      throw new SignalboxError(
        'not-found',
        `the flow has recorded no step ${JSON.stringify(key.slice(0, 200))}; \`signalbox tasks list ${runId}\` lists those it has`,
      );
    }
    starts.push(at);
  }
  const since = new Date(Math.min(...starts.map((at) => at.getTime())));
  return { tasks: [flow.key], since, keys: await findSteps(tx, runId, since) };
}

/** A flow that is cleared itself forgets all its steps. */
async function allSteps(
  tx: Tx,
  { version, runId }: Standing,
  chosen: Chosen,
): Promise<Omit<Forgotten, 'tasks'> | null> {
  const flow = version.tasks.findIndex(({ kind }) => kind === 'flow');
  if (flow < 0 || !chosen.has(flow)) return null;
  return { since: null, keys: await findSteps(tx, runId, null) };
}
