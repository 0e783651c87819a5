/** What the code of a task, a flow or an asset has in common: the run, its log, `once`. */
import type {
  DynamicPartitionsRequest,
  OnceReply,
  OnceRequest,
  ResultReply,
  RunWaitReply,
} from '../../domain/agent-protocol.ts';
import { PRODUCTION } from '../../domain/environment.ts';
import type { RunOrigin } from '../../domain/origin.ts';
import type { TaskState } from '../../domain/run.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import type { EmitRequest, EventReceipt } from '../../domain/wait.ts';
import type { Artifacts } from '../define/artifact.ts';
import {
  type LoadOptions,
  type ResultsOf,
  type RunContext,
  type RunTriggerInfo,
  SkipError,
  type TaskContext,
  type TaskLog,
  type TaskRef,
} from '../define/context.ts';
import { doOnce } from './once.ts';
import { type ArtifactCalls, artifactsOf } from './results/artifacts.ts';
import type { CacheCalls } from './results/cached.ts';
import { resolveResult } from './results/resolve.ts';
import type { RunningTask } from './running-task.ts';

/** What contexts need of the server; each call is made again until it gets through. */
export interface TaskCalls extends ArtifactCalls, CacheCalls {
  readonly clock: Clock;
  log(task: RunningTask): TaskLog;
  once(request: OnceRequest): Promise<OnceReply>;
  result(runId: string, taskKey: string): Promise<ResultReply>;
  waitRun(runId: string, waitMs: number, signal: AbortSignal): Promise<RunWaitReply>;
  emit(request: EmitRequest): Promise<EventReceipt>;
  changePartitions(request: DynamicPartitionsRequest): Promise<void>;
}

class Context implements RunContext<Record<string, unknown>> {
  readonly #task: RunningTask;
  readonly #calls: TaskCalls;
  #log: TaskLog | undefined;
  #artifact: Artifacts | undefined;
  #emitted = 0;
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

  addPartitions(name: string, keys: readonly string[]): Promise<void> {
    return this.#calls.changePartitions({ name, add: keys });
  }

  removePartitions(name: string, keys: readonly string[]): Promise<void> {
    return this.#calls.changePartitions({ name, remove: keys });
  }

  get trigger(): RunTriggerInfo | null {
    const { trigger } = this.#task.assignment;
    if (trigger === undefined) return null;
    return {
      ...trigger,
      result: <T>(workflow?: string) => this.#resultOf<T>(trigger, workflow),
    };
  }

  async #resultOf<T>(trigger: RunOrigin, workflow: string | undefined): Promise<T> {
    const causes = trigger.kind === 'on' ? trigger.causes : [];
    const runs = causes.filter((cause) => cause.kind === 'run');
    const cause = runs.find((run) => workflow === undefined || run.workflow === workflow);
    if (cause === undefined) {
      throw new Error(`no run${workflow === undefined ? '' : ` of ${workflow}`} started this one`);
    }
    const { result } = await this.#calls.waitRun(cause.runId, 0, this.#task.signal);
    return (await resolveResult(this.#calls, result)) as T;
  }

  readonly emit: RunContext<Record<string, unknown>>['emit'] = async (name, body, options = {}) => {
    const { runId, token, taskKey } = this.#task.assignment;
    // Counted, so that an attempt that is made again sends the same events under the same keys.
    this.#emitted += 1;
    const { correlation, key = `${name}:${this.#emitted}` } = options;
    await this.#calls.emit({
      ...{ runId, token, name, key: `${taskKey}:${key}` },
      ...(correlation === undefined ? {} : { correlation }),
      ...(body === undefined ? {} : { body }),
    });
  };

  get logicalDate() {
    return this.#task.assignment.logicalDate;
  }

  get dataInterval() {
    const { dataInterval, logicalDate, partition } = this.#task.assignment;
    if (partition?.interval) return partition.interval;
    if (dataInterval !== null) return dataInterval;
    const at = logicalDate ?? toRfc3339(this.#calls.clock.now()) ?? '';
    return { start: at, end: at };
  }

  get partitionKeys(): readonly string[] {
    return this.#task.assignment.partition?.keys ?? [];
  }

  get environment() {
    return this.#task.assignment.environment ?? PRODUCTION;
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

  readonly skip = (reason = 'its code asked for it'): never => {
    throw new SkipError(reason);
  };

  get artifact() {
    this.#artifact ??= artifactsOf(this.#task, this.#calls, () => this.log);
    return this.#artifact;
  }

  get log() {
    this.#log ??= this.#calls.log(this.#task);
    return this.#log;
  }
}

class ContextOfTask extends Context implements TaskContext {
  readonly result: TaskContext['result'];
  readonly results: TaskContext['results'];
  readonly outcome: TaskContext['outcome'];
  readonly load: TaskContext['load'];

  constructor(task: RunningTask, calls: TaskCalls, parameters: unknown, load: Loader) {
    super(task, calls, parameters);
    this.load = load as TaskContext['load'];
    this.result = async <T>(of: { readonly key: string }) => {
      const { state, result } = await calls.result(task.assignment.runId, of.key);
      if (state === 'succeeded') return (await resolveResult(calls, result)) as T;
      throw new Error(
        `task ${JSON.stringify(of.key)} has no result, it is ${state}: ${advice(state)}`,
      );
    };
    this.results = async <R extends readonly TaskRef[]>(tasks: R) => {
      const all = await Promise.all(tasks.map((one) => this.result(one)));
      return all as ResultsOf<R>;
    };
    this.outcome = async <T>(of: TaskRef<T>) => {
      const { state, result } = await calls.result(task.assignment.runId, of.key);
      const value = state === 'succeeded' ? await resolveResult(calls, result) : null;
      return { state: state as TaskState, result: value as T | null };
    };
  }
}

/** What whoever asked for a missing result can do. */
function advice(state: string): string {
  const isOver = ['failed', 'skipped', 'upstream-failed', 'cancelled'].includes(state);
  return isOver ? 'ctx.outcome tells how it ended' : 'name it in "after"';
}

/** Reads the value of an asset. */
type Loader = (asset: unknown, options?: LoadOptions) => Promise<unknown>;

export function taskContext(
  task: RunningTask,
  calls: TaskCalls,
  parameters: unknown,
  load: Loader,
): TaskContext {
  return new ContextOfTask(task, calls, parameters, load);
}

/** For flows and assets, which add to it. */
export function runContext(
  task: RunningTask,
  calls: TaskCalls,
  parameters: unknown,
): RunContext<Record<string, unknown>> {
  return new Context(task, calls, parameters);
}
