/**
 * One attempt on its way: from the assignment to the completion. Nothing is made that is not used, no timer without
 * a timeout and no span without an SDK, since an agent runs tens of thousands of these a second.
 */
import { setMaxListeners } from 'node:events';
import type { Span, Tracer } from '@opentelemetry/api';
import type { AssetOutcome, Assignment, Completion } from '../../domain/agent-protocol.ts';
import { SPILL_BYTES } from '../../domain/result.ts';
import type { Clock, EpochMs } from '../../domain/time.ts';
import type { TaskLog } from '../define/context.ts';
import { decisionOf } from '../define/decision.ts';
import type { Definition, Handler } from '../define/definition.ts';
import { FLOW_TASK } from '../define/flow.ts';
import type { RetryRule } from '../define/retry-rule.ts';
import { encodeCompletion } from './encode.ts';
import { toRunError } from './error-record.ts';
import { Aborted, endOfThrown } from './failure.ts';
import { LONGEST_TIMER_MS } from './persist.ts';
import { RecordedResult } from './results/cached.ts';
import { isReserved, type Keeper, reserved } from './results/keep.ts';
import { endSpan, startSpan, traceparentOf, within } from './tracing.ts';
import type { EndedAttempt } from './transport.ts';

/** How long code that was told to stop may go on before its end is told without it. */
const GRACE_MS = { cancelled: 5_000, timeout: 1_000, lost: 0, stopping: 0 } as const;

export interface TaskHost {
  readonly clock: Clock;
  readonly agentName: string;
  /** Null where nobody collects spans. */
  tracer(): Tracer | null;
  /** Code that gets what the kind of the assignment asks for. */
  invoke(task: RunningTask, definition: Definition, handler: Handler): unknown;
  /** Whether somebody else watches how long an attempt takes. */
  readonly isTimedElsewhere?: boolean;
  /** The log of an attempt, where it has one. */
  log?(task: RunningTask): TaskLog;
  /** Takes the end of an attempt; null where it is not to be told. */
  ended(task: RunningTask, end: EndedAttempt | null): void;
}

/** A process of its own in which an attempt runs; it tells the end by `settle` or `fail`, also of one that was aborted. */
export interface Elsewhere {
  /** @param graceMs how long the code may go on before its process is ended */
  abort(reason: Aborted, graceMs: number): void;
}

export class RunningTask {
  readonly assignment: Assignment;
  readonly #host: TaskHost;
  readonly #cancelGraceMs: number | undefined;
  #startedAt: number;
  #controller: AbortController | undefined;
  #aborted: Aborted | undefined;
  #crash: unknown;
  #elsewhere: Elsewhere | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  #span: Span | undefined;
  #over = false;
  #mayRetry: RetryRule | undefined;
  /** Set by an asset's code path before it ends. */
  asset: AssetOutcome | undefined;
  /** Puts large results elsewhere; set by what runs the code. */
  keeper: (() => Keeper | null) | undefined;
  /** Things that it waits for without work of its own; while there are any, its slot is lent. */
  waits = 0;
  /** When its time is over, by the agent's clock; null for never. */
  endsAt: EpochMs | null = null;

  /** @param cancelGraceMs how long its code may go on after it was told to stop */
  constructor(assignment: Assignment, host: TaskHost, cancelGraceMs?: number) {
    this.assignment = assignment;
    this.#host = host;
    this.#cancelGraceMs = cancelGraceMs;
    this.#startedAt = host.clock.now();
  }

  /** Whether the attempt is still under way. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether an error of the code is a failure of the attempt, and no consequence of its being stopped. */
  get countsAsFailed(): boolean {
    return this.#aborted === undefined || this.#aborted.kind === 'timeout';
  }

  /** Aborted when the attempt must stop. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      // A flow listens once for each step under way.
      setMaxListeners(0, this.#controller.signal);
    }
    const reason = this.#aborted ?? this.#crash;
    if (reason !== undefined && !this.#controller.signal.aborted) this.#controller.abort(reason);
    return this.#controller.signal;
  }

  /** Runs the code that the definition has for this task. */
  run(definition: Definition | undefined): void {
    if (this.#over) return;
    // Told to stop while the file was imported.
    if (this.#aborted) {
      this.fail(this.#aborted);
      return;
    }
    const { workflow, kind, item } = this.assignment;
    const taskKey = item?.task ?? this.assignment.taskKey;
    this.#mayRetry = definition?.retryRules?.get(kind === 'flow' ? FLOW_TASK : taskKey);
    const handler =
      kind === 'task'
        ? definition?.handlers.get(taskKey)
        : definition?.handlers.values().next().value;
    if (definition === undefined || handler === undefined) {
      this.fail(noCode(workflow, kind === 'task' ? taskKey : null, definition !== undefined));
      return;
    }
    this.#startTimeout();
    const tracer = this.#host.tracer();
    if (tracer === null) {
      this.#invoke(definition, handler);
      return;
    }
    this.#span = startSpan(tracer, this.assignment, this.#host.agentName);
    within(this.#span, () => this.#invoke(definition, handler));
  }

  /** Its code is to run in another process. */
  runIn(elsewhere: Elsewhere): void {
    this.#elsewhere = elsewhere;
  }

  /** The other process begins with it. @returns what its spans are to be children of */
  begun(): string | null {
    this.#startedAt = this.#host.clock.now();
    this.#startTimeout();
    const tracer = this.#host.tracer();
    if (tracer === null) return this.assignment.traceparent;
    this.#span = startSpan(tracer, this.assignment, this.#host.agentName);
    return traceparentOf(this.#span);
  }

  /** Takes the end that the other process told. */
  settle({
    runId: _,
    taskKey: __,
    token: ___,
    startedAt: _a,
    finishedAt: _b,
    ...end
  }: Completion): void {
    if (this.#over) return;
    if (this.#aborted?.kind === 'timeout') {
      this.fail(this.#aborted);
      return;
    }
    this.#tell({ ...this.#frame(end.state), ...end });
  }

  #startTimeout(): void {
    const { timeoutMs } = this.assignment;
    if (timeoutMs === null) return;
    this.endsAt = this.#startedAt + timeoutMs;
    if (this.#host.isTimedElsewhere !== true) this.#timeOutIn(timeoutMs);
  }

  /** Its time began before it was given back: it is over at this moment. */
  endBy(at: EpochMs): void {
    if (this.#over || this.assignment.timeoutMs === null) return;
    this.endsAt = at;
    this.#timeOutIn(Math.max(0, at - this.#host.clock.now()));
  }

  #timeOutIn(ms: number): void {
    clearTimeout(this.#timeout);
    this.#timeout = setTimeout(
      () => {
        const words = `it took longer than ${this.assignment.timeoutMs} ms`;
        this.abort(new Aborted('timeout', words));
      },
      Math.min(ms, LONGEST_TIMER_MS),
    );
  }

  #invoke(definition: Definition, handler: Handler): void {
    try {
      const result = this.#host.invoke(this, definition, handler);
      if (isThenable(result)) result.then(this.succeed, this.fail);
      else this.succeed(result);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Tells the code to stop; its end is told without it when it does not within a grace. */
  abort(reason: Aborted): void {
    if (this.#over || this.#aborted) return;
    this.#aborted = reason;
    const own = GRACE_MS[reason.kind];
    const graceMs = own === 0 ? 0 : (this.#cancelGraceMs ?? own);
    const isOthers = reason.kind === 'lost' || reason.kind === 'stopping';
    this.#controller?.abort(reason);
    if (this.#elsewhere) {
      this.#elsewhere.abort(reason, graceMs);
      if (isOthers) this.#end(null);
      return;
    }
    if (isOthers) this.#end(null);
    else this.#grace = setTimeout(() => this.#leaveBehind(reason, graceMs), graceMs);
  }

  /** Ends it here without a word: its flow was given back, and goes on elsewhere. Its code is left where it waits. */
  leave(): void {
    if (this.#over) return;
    this.#end(null);
    this.#elsewhere?.abort(new Aborted('lost', 'its flow was given back'), 0);
  }

  /** Tells the code to stop, and waits for it as long as it takes: somebody else watches. */
  tellToStop(reason: Aborted): void {
    if (this.#over || this.#aborted) return;
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }

  /** Code that shares the agent's process cannot be ended: nobody waits for it any longer. */
  #leaveBehind(reason: Aborted, graceMs: number): void {
    this.#host
      .log?.(this)
      .warn(
        `left behind: its code still runs ${graceMs} ms after it was told to stop (${reason.message}); isolation "process" would have ended it`,
      );
    this.fail(reason);
  }

  /** Fails it for what its code did outside of its promise; what still runs of it is told to stop. */
  crash(thrown: unknown): void {
    if (this.#over) return;
    this.#crash = thrown ?? new Error('it threw nothing');
    this.fail(thrown);
    this.#controller?.abort(this.#crash);
  }

  readonly succeed = (result: unknown): void => {
    if (this.#over) return;
    if (this.#aborted?.kind === 'timeout') {
      this.fail(this.#aborted);
      return;
    }
    if (result instanceof RecordedResult) {
      this.#tell({ ...this.#frame('succeeded'), result: result.recorded });
      return;
    }
    if (isReserved(result)) {
      this.#failFinally(reserved());
      return;
    }
    const decided = decisionOf(result);
    const frame = this.#frame('succeeded');
    if (decided) this.#tell({ ...frame, branch: decided.choice, result: decided.result });
    else this.#tell({ ...frame, ...(result === undefined ? {} : { result }) });
  };

  readonly fail = (thrown: unknown): void => {
    if (this.#over) return;
    const aborted = this.#aborted;
    if (aborted?.kind === 'cancelled') {
      this.#tell({ ...this.#frame('cancelled'), error: toRunError(thrown) });
      return;
    }
    const end = endOfThrown(aborted?.kind === 'timeout' ? aborted : thrown, this.#mayRetry);
    this.#tell({ ...this.#frame(end.state), ...end });
  };

  #frame(state: Completion['state']): Completion {
    const { runId, taskKey, token } = this.assignment;
    const frame = {
      runId,
      taskKey,
      token,
      state,
      startedAt: this.#startedAt,
      finishedAt: this.#host.clock.now(),
    };
    return this.asset === undefined ? frame : { ...frame, asset: this.asset };
  }

  #tell(completion: Completion): void {
    const { result } = completion;
    let json: string;
    try {
      if (result instanceof Uint8Array && this.#keep(completion, null)) return;
      json = encodeCompletion(completion, this.keeper !== undefined);
      if (json.length > SPILL_BYTES && this.#keep(completion, JSON.stringify(result))) return;
      if (json.length > SPILL_BYTES) encodeCompletion(completion);
    } catch (error) {
      this.#failFinally(error);
      return;
    }
    this.#endWith(completion, json);
  }

  /** Puts the result elsewhere; the end is told with a reference to it. @returns false where it stays as it is */
  #keep(completion: Completion, json: string | null): boolean {
    const { result, state } = completion;
    const keep = state === 'succeeded' && result !== undefined ? this.keeper?.() : null;
    if (!keep) return false;
    this.keeper = undefined;
    keep(result, json).then(
      (kept) => {
        if (this.#over) return;
        this.#tell({ ...completion, result: kept, finishedAt: this.#host.clock.now() });
      },
      (error: unknown) => {
        if (this.#over) return;
        if (error instanceof Error && error.name === 'ResultError') this.#failFinally(error);
        else this.fail(error);
      },
    );
    return true;
  }

  #failFinally(error: unknown): void {
    const { asset: _, ...frame } = this.#frame('failed');
    const told: Completion = { ...frame, final: true, error: toRunError(error) };
    this.#endWith(told, encodeCompletion(told));
  }

  #endWith(completion: Completion, json: string): void {
    if (this.#span) endSpan(this.#span, completion);
    this.#end({ assignment: this.assignment, completion, json });
  }

  #end(end: EndedAttempt | null): void {
    this.#over = true;
    clearTimeout(this.#timeout);
    clearTimeout(this.#grace);
    if (end === null) this.#span?.end();
    this.#host.ended(this, end);
  }
}

/** The code of a run's version is not here: it was changed since the run began, or it never was. */
function noCode(workflow: string, task: string | null, isKnown: boolean): Error {
  const what = task === null ? workflow : `${workflow} with a task ${task}`;
  const why =
    isKnown && task !== null
      ? 'its code was changed since the run began; bring the task back and retry the run, or start a new one'
      : 'its file was taken away or cannot be read: bring it back and retry the run';
  return new Error(`this agent has no ${what}: ${why}`);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
