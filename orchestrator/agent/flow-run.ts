/**
 * A flow on its way. It always runs from its start; what it did before a crash stands in recorded steps, which give
 * their results instead of running again. A step that failed for good is recorded too, so that a replay takes the
 * same turn; but when the whole attempt failed and is tried again, those failures do not count any more. They are
 * told apart by their keys: `KEY@ATTEMPT` for a failure, `flow@ATTEMPT` for an attempt that failed.
 */
import type { RecordedStep, RunWaitReply } from '../../domain/agent-protocol.ts';
import { isTerminalRun, type Run, type RunError } from '../../domain/run.ts';
import { parseDuration } from '../../domain/time.ts';
import {
  type FlowContext,
  type StepContext,
  type StepOptions,
  SubflowError,
  TimeLimitError,
} from '../define/context.ts';
import { FLOW_TASK } from '../define/flow.ts';
import { throughJson } from './encode.ts';
import { fromRecord, toRunError } from './failure.ts';
import { pause } from './persist.ts';
import type { RunningTask } from './running-task.ts';
import type { StepStore } from './steps.ts';
import { runContext, type TaskCalls } from './task-context.ts';

export interface FlowCalls extends TaskCalls, StepStore {
  startSubflow(
    task: RunningTask,
    key: string,
    workflow: string,
    parameters: Record<string, unknown>,
  ): Promise<Run>;
  waitRun(runId: string, waitMs: number, signal: AbortSignal): Promise<RunWaitReply>;
  /** Lends the task's slot while it waits for something else than its own work. */
  parked<T>(task: RunningTask, wait: () => Promise<T>): Promise<T>;
}

/** A step key that cannot be used (again). */
class StepKeyError extends Error {
  override readonly name = 'StepKeyError';
}

const MAX_KEY = 500;
const RESERVED = /@\d+$/;
const RETRY_DELAY = '1s';
const LOOK_EVERY = '1s';
const WAIT_RUN_MS = 10_000;

export class FlowRun {
  readonly #task: RunningTask;
  readonly #calls: FlowCalls;
  readonly #used = new Set<string>();
  #history: Promise<History> | undefined;

  constructor(task: RunningTask, calls: FlowCalls) {
    this.#task = task;
    this.#calls = calls;
  }

  context(parameters: unknown): FlowContext {
    const base = runContext(this.#task, this.#calls, parameters);
    return Object.assign(base, {
      step: this.step,
      sleep: this.sleep,
      waitUntil: this.waitUntil,
      subflow: this.subflow,
    }) as FlowContext;
  }

  /** Records that this attempt failed, so that the next one runs failed steps again. */
  async failed(thrown: unknown): Promise<void> {
    const now = this.#calls.clock.now();
    await this.#record(`${FLOW_TASK}@${this.#attempt}`, now, { error: toRunError(thrown) });
  }

  readonly step = async <T>(
    key: string,
    work: (step: StepContext) => T | Promise<T>,
    options: StepOptions = {},
  ): Promise<Awaited<T>> => {
    this.#use(key);
    const history = await this.#readHistory();
    const known = history.succeeded.get(key);
    if (known) return known.result as Awaited<T>;
    const failure = history.failed.get(key);
    if (failure) throw fromRecord(failure.error);
    const startedAt = this.#calls.clock.now();
    try {
      const result = throughJson<Awaited<T>>(await this.#try(work, options));
      await this.#record(key, startedAt, { result });
      return result;
    } catch (error) {
      // What was aborted from outside did not fail: the next attempt is to do it.
      if (this.#task.signal.aborted) throw error;
      await this.#record(`${key}@${this.#attempt}`, startedAt, { error: toRunError(error) });
      throw error;
    }
  };

  readonly sleep: FlowContext['sleep'] = async (key, duration) => {
    const ms = parseDuration(duration);
    const until = await this.step(key, () => this.#calls.clock.now() + ms);
    const left = until - this.#calls.clock.now();
    if (left > 0) await this.#calls.parked(this.#task, () => pause(left, this.#task.signal));
  };

  readonly waitUntil: FlowContext['waitUntil'] = async (key, condition, options = {}) => {
    const everyMs = parseDuration(options.every ?? LOOK_EVERY);
    const limitMs =
      options.timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration(options.timeout);
    const since = await this.step(`${key}:since`, () => this.#calls.clock.now());
    return this.step(key, async ({ signal }) => {
      while (true) {
        if (await condition()) return true;
        const left = since + limitMs - this.#calls.clock.now();
        if (left <= 0) return false;
        await this.#calls.parked(this.#task, () => pause(Math.min(everyMs, left), signal));
      }
    });
  };

  readonly subflow = async <R>(
    workflow: string | { readonly name: string },
    parameters: Readonly<Record<string, unknown>> = {},
    options: { readonly key?: string } = {},
  ): Promise<R> => {
    const name = typeof workflow === 'string' ? workflow : workflow.name;
    const key = options.key ?? name;
    this.#use(key);
    const { failedAttempts } = await this.#readHistory();
    const { signal } = this.#task;
    for (let failures = 0; ; failures++) {
      signal.throwIfAborted();
      const childKey = failures === 0 ? key : `${key}@${failures}`;
      const started = await this.#calls.startSubflow(this.#task, childKey, name, { ...parameters });
      const isOld = isTerminalRun(started.state);
      const { run, result } = await this.#waitFor(started.id);
      if (run.state === 'succeeded') return result as R;
      // A child that failed with an earlier attempt of this flow is run anew by this attempt.
      if (!isOld || failures >= failedAttempts) throw new SubflowError(run);
    }
  };

  async #waitFor(runId: string): Promise<RunWaitReply> {
    const { signal } = this.#task;
    return this.#calls.parked(this.#task, async () => {
      while (true) {
        signal.throwIfAborted();
        const reply = await this.#calls.waitRun(runId, WAIT_RUN_MS, signal);
        if (isTerminalRun(reply.run.state)) return reply;
      }
    });
  }

  get #attempt(): number {
    return this.#task.assignment.attempt;
  }

  #use(key: string): void {
    if (typeof key !== 'string' || key === '' || key.length > MAX_KEY) {
      throw new StepKeyError(`a step key has 1 to ${MAX_KEY} characters`);
    }
    if (key === FLOW_TASK || RESERVED.test(key)) {
      throw new StepKeyError(`${JSON.stringify(key)} is reserved: choose another step key`);
    }
    if (this.#used.has(key)) {
      throw new StepKeyError(
        `the step key ${JSON.stringify(key)} is used twice in one execution: put the index of the loop into it`,
      );
    }
    this.#used.add(key);
  }

  #readHistory(): Promise<History> {
    this.#history ??= this.#calls.recorded(this.#task.assignment.runId).then(readHistory);
    return this.#history;
  }

  async #try<T>(
    work: (step: StepContext) => T | Promise<T>,
    options: StepOptions,
  ): Promise<Awaited<T>> {
    const { retries = 0, timeout, retryDelay = RETRY_DELAY } = options;
    const timeoutMs = timeout === undefined ? null : parseDuration(timeout);
    for (let attempt = 1; ; attempt++) {
      this.#task.signal.throwIfAborted();
      try {
        return await limited((signal) => work({ signal, attempt }), this.#task.signal, timeoutMs);
      } catch (error) {
        const isFinal = error instanceof Error && error.name === 'NoRetryError';
        if (attempt > retries || isFinal || this.#task.signal.aborted) throw error;
        await pause(parseDuration(retryDelay), this.#task.signal);
      }
    }
  }

  async #record(key: string, startedAt: number, end: { result?: unknown; error?: RunError }) {
    const { runId, token } = this.#task.assignment;
    await this.#calls.record({
      ...{ runId, token, key, startedAt },
      state: end.error === undefined ? 'succeeded' : 'failed',
      finishedAt: this.#calls.clock.now(),
      ...(end.result === undefined ? {} : { result: end.result }),
      ...(end.error === undefined ? {} : { error: end.error }),
    });
  }
}

/** What earlier attempts left: results, and failures that still count. */
interface History {
  readonly succeeded: ReadonlyMap<string, RecordedStep>;
  readonly failed: ReadonlyMap<string, RecordedStep>;
  readonly failedAttempts: number;
}

function readHistory(steps: readonly RecordedStep[]): History {
  const succeeded = new Map<string, RecordedStep>();
  const failures: { key: string; attempt: number; step: RecordedStep }[] = [];
  for (const step of steps) {
    const at = step.key.lastIndexOf('@');
    if (step.state === 'succeeded') succeeded.set(step.key, step);
    else if (at > 0) {
      failures.push({ key: step.key.slice(0, at), attempt: Number(step.key.slice(at + 1)), step });
    }
  }
  const attempts = failures.filter(({ key }) => key === FLOW_TASK).map(({ attempt }) => attempt);
  const lastFailed = Math.max(0, ...attempts);
  return {
    succeeded,
    failed: new Map(
      failures
        .filter(({ key, attempt }) => key !== FLOW_TASK && attempt > lastFailed)
        .map(({ key, step }) => [key, step]),
    ),
    failedAttempts: attempts.length,
  };
}

/** Runs a try within its time; what ignores its signal is left behind. */
async function limited<T>(
  work: (signal: AbortSignal) => T | Promise<T>,
  outer: AbortSignal,
  timeoutMs: number | null,
): Promise<Awaited<T>> {
  if (timeoutMs === null) return raceAbort(work(outer), outer);
  const own = new AbortController();
  const follow = () => own.abort(outer.reason);
  outer.addEventListener('abort', follow);
  const timer = setTimeout(
    () => own.abort(new TimeLimitError(`the step took longer than ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return await raceAbort(work(own.signal), own.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', follow);
  }
}

async function raceAbort<T>(work: T | Promise<T>, signal: AbortSignal): Promise<Awaited<T>> {
  if (!(work instanceof Promise)) return await work;
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
