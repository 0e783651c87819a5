/**
 * One attempt on its way: from the assignment to the completion. Nothing is made that is not used, no timer without
 * a timeout and no span without an SDK, since an agent runs tens of thousands of these a second.
 */
import { setMaxListeners } from 'node:events';
import type { Span, Tracer } from '@opentelemetry/api';
import type { AssetOutcome, Assignment, Completion } from '../../domain/agent-protocol.ts';
import type { Clock } from '../../domain/time.ts';
import type { Definition, Handler } from '../define/definition.ts';
import { encodeCompletion } from './encode.ts';
import { Aborted, isFinal, toRunError } from './failure.ts';
import { endSpan, startSpan, within } from './tracing.ts';
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
  /** Takes the end of an attempt; null where it is not to be told. */
  ended(task: RunningTask, end: EndedAttempt | null): void;
}

export class RunningTask {
  readonly assignment: Assignment;
  readonly #host: TaskHost;
  readonly #startedAt: number;
  #controller: AbortController | undefined;
  #aborted: Aborted | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  #span: Span | undefined;
  #over = false;
  /** Set by an asset's code path before it ends. */
  asset: AssetOutcome | undefined;
  /** Things that it waits for without work of its own; while there are any, its slot is lent. */
  waits = 0;

  constructor(assignment: Assignment, host: TaskHost) {
    this.assignment = assignment;
    this.#host = host;
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
    if (this.#aborted && !this.#controller.signal.aborted) this.#controller.abort(this.#aborted);
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
    const { workflow, taskKey, kind, timeoutMs } = this.assignment;
    const handler =
      kind === 'task'
        ? definition?.handlers.get(taskKey)
        : definition?.handlers.values().next().value;
    if (definition === undefined || handler === undefined) {
      const what = kind === 'task' ? `${workflow} with a task ${taskKey}` : workflow;
      this.fail(
        new Error(`this agent has no ${what}: give workflows of other agents a queue of their own`),
      );
      return;
    }
    if (timeoutMs !== null) {
      this.#timeout = setTimeout(
        () => this.abort(new Aborted('timeout', `it took longer than ${timeoutMs} ms`)),
        timeoutMs,
      );
    }
    const tracer = this.#host.tracer();
    if (tracer === null) {
      this.#invoke(definition, handler);
      return;
    }
    this.#span = startSpan(tracer, this.assignment, this.#host.agentName);
    within(this.#span, () => this.#invoke(definition, handler));
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
    this.#controller?.abort(reason);
    const graceMs = GRACE_MS[reason.kind];
    if (graceMs === 0) this.#end(null);
    else this.#grace = setTimeout(() => this.fail(reason), graceMs);
  }

  readonly succeed = (result: unknown): void => {
    if (this.#over) return;
    if (this.#aborted?.kind === 'timeout') {
      this.fail(this.#aborted);
      return;
    }
    this.#tell({ ...this.#frame('succeeded'), ...(result === undefined ? {} : { result }) });
  };

  readonly fail = (thrown: unknown): void => {
    if (this.#over) return;
    const aborted = this.#aborted;
    const state = aborted?.kind === 'cancelled' ? 'cancelled' : 'failed';
    const error = toRunError(aborted?.kind === 'timeout' ? aborted : thrown);
    const final = state === 'failed' && isFinal(thrown) ? { final: true } : {};
    this.#tell({ ...this.#frame(state), ...final, error });
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
    let told = completion;
    let json: string;
    try {
      json = encodeCompletion(completion);
    } catch (error) {
      const { asset: _, ...frame } = this.#frame('failed');
      told = { ...frame, final: true, error: toRunError(error) };
      json = encodeCompletion(told);
    }
    if (this.#span) endSpan(this.#span, told);
    this.#end({ assignment: this.assignment, completion: told, json });
  }

  #end(end: EndedAttempt | null): void {
    this.#over = true;
    clearTimeout(this.#timeout);
    clearTimeout(this.#grace);
    if (end === null) this.#span?.end();
    this.#host.ended(this, end);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
