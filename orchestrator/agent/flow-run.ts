/**
 * A flow on its way. It always runs from its start; what it did before a crash stands in recorded steps, which give
 * their results instead of running again. A step that failed for good is recorded too, so that a replay takes the
 * same turn; but when the whole attempt failed and is tried again, those failures do not count any more. They are
 * told apart by their keys: `KEY@ATTEMPT` for a failure, `flow@ATTEMPT` for an attempt that failed.
 */
import type { RecordedStep } from '../../domain/agent-protocol.ts';
import { isTerminalRun, type Run, type RunError } from '../../domain/run.ts';
import { type EpochMs, parseDuration } from '../../domain/time.ts';
import type { WaitReply, WaitRequest } from '../../domain/wait.ts';
import {
  type FlowContext,
  type StepContext,
  type StepOptions,
  SubflowError,
  type TaskLog,
  TimeLimitError,
} from '../define/context.ts';
import { FLOW_TASK } from '../define/flow.ts';
import { plainParameters } from './encode.ts';
import { toRunError } from './error-record.ts';
import { fromRecord } from './failure.ts';
import { LONGEST_TIMER_MS, pause } from './persist.ts';
import { cachedStep } from './results/cached.ts';
import { keepStep } from './results/keep.ts';
import { resolveResult } from './results/resolve.ts';
import type { RunningTask } from './running-task.ts';
import type { StepStore } from './steps.ts';
import { endOfRun, isGood } from './subflow-run.ts';
import { keepToEnd, type LongWait, Suspension, type SuspensionCalls } from './suspension.ts';
import { runContext, type TaskCalls } from './task-context.ts';

export interface FlowCalls extends TaskCalls, StepStore, SuspensionCalls {
  startSubflow(
    task: RunningTask,
    key: string,
    workflow: string,
    parameters: Record<string, unknown>,
  ): Promise<Run>;
  wait(request: WaitRequest, signal: AbortSignal): Promise<WaitReply>;
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
  readonly #suspension: Suspension;
  #history: Promise<History> | undefined;

  constructor(task: RunningTask, calls: FlowCalls) {
    this.#task = task;
    this.#calls = calls;
    this.#suspension = new Suspension(task, calls);
  }

  context(parameters: unknown): FlowContext {
    const base = runContext(this.#task, this.#calls, parameters);
    const { once, emit } = base;
    const { work } = this.#suspension;
    // A history that cannot be read fails the first step, which tells it.
    keepToEnd(this.#task, this.#calls).catch(() => undefined);
    return Object.assign(base, {
      once: (...args: Parameters<typeof once>) => work(() => once(...args)),
      emit: (...args: Parameters<typeof emit>) => work(() => emit(...args)),
      waitForEvent: this.waitForEvent,
      waitForInput: this.waitForInput,
      step: this.step,
      cached: this.#cachedFor(() => base.log),
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
    return this.#suspension.work(() => this.#step(key, work, options));
  };

  async #step<T>(
    key: string,
    work: (step: StepContext) => T | Promise<T>,
    options: StepOptions,
  ): Promise<Awaited<T>> {
    const history = await this.#readHistory();
    const known = history.succeeded.get(key);
    if (known) return (await resolveResult(this.#calls, known.result)) as Awaited<T>;
    const failure = history.failed.get(key);
    if (failure) throw fromRecord(failure.error);
    const startedAt = this.#calls.clock.now();
    try {
      const result = await this.#try(work, options);
      const { value, recorded } = await keepStep(this.#calls, this.#task.assignment, key, result);
      await this.#record(key, startedAt, { result: recorded });
      return value;
    } catch (error) {
      // What was aborted from outside did not fail: the next attempt is to do it.
      if (this.#task.signal.aborted) throw error;
      await this.#record(`${key}@${this.#attempt}`, startedAt, { error: toRunError(error) });
      throw error;
    }
  }

  #cachedFor(log: () => TaskLog): FlowContext['cached'] {
    const { assignment } = this.#task;
    return (key, work, options = {}) =>
      this.step(key, () =>
        cachedStep({ assignment, calls: this.#calls, log: log() }, key, work, options),
      ) as never;
  }

  readonly sleep: FlowContext['sleep'] = async (key, duration) => {
    const ms = parseDuration(duration);
    const until = await this.step(key, () => this.#calls.clock.now() + ms);
    await this.#pauseUntil(until, false, this.#task.signal);
  };

  /** @param inWork whether it is part of a step */
  async #pauseUntil(until: EpochMs, inWork: boolean, signal: AbortSignal): Promise<void> {
    const wait: LongWait = { until, wakes: false };
    const left = () => until - this.#calls.clock.now();
    await this.#suspension.during(wait, inWork, async (again) => {
      while (left() > 0) await again(() => pause(Math.min(left(), LONGEST_TIMER_MS), signal));
    });
  }

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
        const until = this.#calls.clock.now() + Math.min(everyMs, left);
        await this.#pauseUntil(until, true, signal);
      }
    });
  };

  readonly waitForEvent: FlowContext['waitForEvent'] = (key, options = {}) => {
    const { timeout, ...event } = options;
    return this.#waitFor(key, { kind: 'event', ...event }, timeout);
  };

  readonly waitForInput: FlowContext['waitForInput'] = (key, options = {}) => {
    const { timeout, ...input } = options;
    return this.#waitFor(key, { kind: 'input', ...input }, timeout);
  };

  /** Waits by a call at a time; the server keeps the wait, so that nothing is lost between them. */
  #waitFor<T>(
    key: string,
    what: Pick<WaitRequest, 'kind' | 'name' | 'correlation' | 'message' | 'schema'>,
    timeout: string | number | undefined,
  ): Promise<T | null> {
    const timeoutMs = timeout === undefined ? null : parseDuration(timeout);
    const { runId, token } = this.#task.assignment;
    const { clock } = this.#calls;
    return this.step(key, async ({ signal }): Promise<unknown> => {
      const request = { runId, token, key, timeoutMs, ...what };
      let reply = await this.#calls.wait({ ...request, waitMs: 0 }, signal);
      const wait: LongWait = { until: null, wakes: true };
      await this.#suspension.during(wait, true, async (again) => {
        while (reply.state === 'waiting') {
          signal.throwIfAborted();
          wait.until = reply.leftMs === null ? null : clock.now() + reply.leftMs;
          reply = await again(() => this.#calls.wait({ ...request, waitMs: WAIT_RUN_MS }, signal));
        }
      });
      return reply.state === 'answered' ? reply.result : null;
    }) as Promise<T | null>;
  }

  readonly subflow = async <R>(
    workflow: string | { readonly name: string },
    parameters: Readonly<Record<string, unknown>> = {},
    options: { readonly key?: string } = {},
  ): Promise<R> => {
    const name = typeof workflow === 'string' ? workflow : workflow.name;
    const key = options.key ?? name;
    this.#use(key);
    const plain = plainParameters(parameters);
    const { failedAttempts } = await this.#readHistory();
    const { signal } = this.#task;
    for (let failures = 0; ; failures++) {
      signal.throwIfAborted();
      const childKey = failures === 0 ? key : `${key}@${failures}`;
      const started = await this.#suspension.work(() =>
        this.#calls.startSubflow(this.#task, childKey, name, plain),
      );
      const isOld = isTerminalRun(started.state);
      const { run, result } = await endOfRun(this.#task, this.#calls, this.#suspension, started.id);
      if (isGood(run.state)) return (await resolveResult(this.#calls, result)) as R;
      // A child that failed with an earlier attempt of this flow is run anew by this attempt.
      if (!isOld || failures >= failedAttempts) throw new SubflowError(run);
    }
  };

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
