/**
 * A task that is the run of another workflow. The run is made once under the task's key, so an attempt that takes the
 * place of a lost one waits for the same run; one that follows a failure makes another. Where the run takes long, the
 * task is given back as a flow is, and goes on from here when the run has ended.
 */
import { isTerminalRun } from '../../domain/run.ts';
import { SubflowError, type TaskContext } from '../define/context.ts';
import type { SubflowCode } from '../define/subflow-task.ts';
import { plainParameters } from './encode.ts';
import type { FlowCalls } from './flow-run.ts';
import { type ResolveCalls, resolveResult } from './results/resolve.ts';
import type { RunningTask } from './running-task.ts';
import { keepToEnd, Suspension, type SuspensionCalls } from './suspension.ts';

const WAIT_RUN_MS = 10_000;

type SubflowCalls = Pick<FlowCalls, 'startSubflow' | 'waitRun'> & SuspensionCalls;

/**
 * @returns the run's result; its id where it is not waited for
 * @throws SubflowError where the run did not succeed
 */
export async function runSubflow(
  task: RunningTask,
  calls: SubflowCalls & ResolveCalls,
  { workflow, parameters, wait }: SubflowCode,
  context: TaskContext,
): Promise<unknown> {
  const given = await parameters(context as never);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError('parameters must give an object');
  }
  const plain = plainParameters(given);
  const { taskKey, attempt } = task.assignment;
  for (let tries = 0; ; tries += 1) {
    task.signal.throwIfAborted();
    const key = tries === 0 ? `task:${taskKey}` : `task:${taskKey}@${tries}`;
    const started = await calls.startSubflow(task, key, workflow, plain);
    const failedBefore = isTerminalRun(started.state) && !isGood(started.state);
    // A run that failed with an earlier attempt is that attempt's; this one makes its own.
    if (failedBefore && tries + 1 < attempt) continue;
    if (!wait) return { runId: started.id };
    await keepToEnd(task, calls);
    const { run, result } = await endOfRun(task, calls, new Suspension(task, calls), started.id);
    if (isGood(run.state)) return resolveResult(calls, result);
    throw new SubflowError(run);
  }
}

export function isGood(state: string): boolean {
  return state === 'succeeded' || state === 'skipped';
}

/** Waits for the end of a run that the task has started; where that takes long, the task is given back. */
export function endOfRun(
  { signal }: RunningTask,
  calls: Pick<FlowCalls, 'waitRun'>,
  suspension: Suspension,
  runId: string,
): ReturnType<FlowCalls['waitRun']> {
  return suspension.during({ until: null, wakes: true, runId }, false, (again) =>
    again(async () => {
      while (true) {
        signal.throwIfAborted();
        const reply = await calls.waitRun(runId, WAIT_RUN_MS, signal);
        if (isTerminalRun(reply.run.state)) return reply;
      }
    }),
  );
}
