/** What the code of a task, a flow or an asset has in common: the run, its log, `once`. */
import type { OnceReply, OnceRequest, ResultReply } from '../../domain/agent-protocol.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import type { RunContext, TaskContext, TaskLog } from '../define/context.ts';
import { doOnce } from './once.ts';
import type { RunningTask } from './running-task.ts';

/** What contexts need of the server; each call is made again until it gets through. */
export interface TaskCalls {
  readonly clock: Clock;
  log(task: RunningTask): TaskLog;
  once(request: OnceRequest): Promise<OnceReply>;
  result(runId: string, taskKey: string): Promise<ResultReply>;
}

class Context implements RunContext<Record<string, unknown>> {
  readonly #task: RunningTask;
  readonly #calls: TaskCalls;
  #log: TaskLog | undefined;
  readonly parameters: Record<string, unknown>;
  readonly once: RunContext<Record<string, unknown>>['once'];

  constructor(task: RunningTask, calls: TaskCalls, parameters: unknown) {
    this.#task = task;
    this.#calls = calls;
    this.parameters = parameters as Record<string, unknown>;
    this.once = (key, work, options) => {
      const { runId, token } = task.assignment;
      const attempt = { runId, token, signal: task.signal, ask: calls.once };
      return doOnce(attempt, key, work, options);
    };
  }

  get logicalDate() {
    return this.#task.assignment.logicalDate;
  }

  get dataInterval() {
    const { dataInterval, logicalDate } = this.#task.assignment;
    if (dataInterval !== null) return dataInterval;
    const at = logicalDate ?? toRfc3339(this.#calls.clock.now()) ?? '';
    return { start: at, end: at };
  }

  get runId() {
    return this.#task.assignment.runId;
  }

  get attempt() {
    return this.#task.assignment.attempt;
  }

  get signal() {
    return this.#task.signal;
  }

  get log() {
    this.#log ??= this.#calls.log(this.#task);
    return this.#log;
  }
}

class ContextOfTask extends Context implements TaskContext {
  readonly result: TaskContext['result'];

  constructor(task: RunningTask, calls: TaskCalls, parameters: unknown) {
    super(task, calls, parameters);
    this.result = async <T>(of: { readonly key: string }) => {
      const { state, result } = await calls.result(task.assignment.runId, of.key);
      if (state === 'succeeded') return result as T;
      throw new Error(
        `task ${JSON.stringify(of.key)} has no result, it is ${state}: name it in "after"`,
      );
    };
  }
}

export function taskContext(task: RunningTask, calls: TaskCalls, parameters: unknown): TaskContext {
  return new ContextOfTask(task, calls, parameters);
}

/** For flows and assets, which add to it. */
export function runContext(
  task: RunningTask,
  calls: TaskCalls,
  parameters: unknown,
): RunContext<Record<string, unknown>> {
  return new Context(task, calls, parameters);
}
