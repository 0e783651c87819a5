/** What a user's code is given while it runs. */
import type { FallbackVersion } from '../../domain/asset-protocol.ts';
import type { RunOrigin } from '../../domain/origin.ts';
import type { DataInterval, Run, TaskState } from '../../domain/run.ts';
import { parseDuration } from '../../domain/time.ts';
import type { Artifacts } from './artifact.ts';
import type { CachedOptions } from './results.ts';

/** Writes to the run's log, which the console and `runs logs` show. */
export interface TaskLog {
  debug(message: string, attributes?: Readonly<Record<string, unknown>>): void;
  info(message: string, attributes?: Readonly<Record<string, unknown>>): void;
  warn(message: string, attributes?: Readonly<Record<string, unknown>>): void;
  error(message: string, attributes?: Readonly<Record<string, unknown>>): void;
}

export interface OnceOptions {
  /**
   * Where a process died between the effect and its record: `repeat` (the default) does the work again under
   * the same key, `stop` fails without retries until a human has settled the key. Work that throws counts as not
   * done, and is done again by a retry: what cannot tell (an answer that was lost) looks first whether it took
   * effect, or is done by `onceIn`.
   */
  readonly onUnknown?: 'repeat' | 'stop';
}

declare const RESULT: unique symbol;
/** Carries the type of an asset's value. */
export declare const VALUE: unique symbol;

/** A task of a workflow, as other tasks name it; carries the type of its result. */
export interface TaskRef<T = unknown> {
  readonly key: string;
  readonly [RESULT]?: T;
}

/** Tasks of a group as others come after them: all that nothing in the group comes after. */
export interface GroupRef<T = unknown> {
  readonly group: string;
  /** What the group's function gave back. */
  readonly tasks: T;
}

/** Results of tasks in the order in which they are named. */
export type ResultsOf<R extends readonly TaskRef[]> = {
  -readonly [K in keyof R]: R[K] extends TaskRef<infer T> ? T : unknown;
};

/** Lists of `dynamicPartitions` that code keeps. */
export interface PartitionLists {
  /** Adds keys to a list; those that are there stay. */
  addPartitions(name: string, keys: readonly string[]): Promise<void>;
  /** Takes keys from a list; what was recorded of them stays. */
  removePartitions(name: string, keys: readonly string[]): Promise<void>;
}

export interface RunContext<P> extends PartitionLists {
  /** Keys of the partitions that the run makes; none for most. */
  readonly partitionKeys: readonly string[];
  /** Parameters of the run, checked against the schema, defaults filled in. */
  readonly parameters: P;
  /** The moment that the run is for, RFC 3339; null for a run by hand without one. */
  readonly logicalDate: string | null;
  /** The time that the run's data is from; without a schedule it is empty, at the logical date or the start. */
  readonly dataInterval: DataInterval;
  readonly runId: string;
  /** Where the run is: `production`, or the environment of a branch. */
  readonly environment: string;
  readonly attempt: number;
  /** Aborted on cancellation, timeout, and loss of the lease; `signal.reason` says which. */
  readonly signal: AbortSignal;
  readonly log: TaskLog;
  /** Shows people a report, a table, a link, a picture, or how far it is. */
  readonly artifact: Artifacts;
  /** Ends the attempt as skipped: what comes after it is skipped too, unless its rule says otherwise. */
  skip(reason?: string): never;
  /** Who asked for the run: a backfill, a sensor, the end of another run …; null for a person or a schedule. */
  readonly trigger: RunTriggerInfo | null;
  /** Sends an event to flows that wait for it (`waitForEvent`), now or later; once, also if the task is tried again. */
  emit(name: string, body?: unknown, options?: EmitOptions): Promise<void>;
  /**
   * Does the work under a business key, one holder at a time, and shares its result with whoever asks for the
   * key later, other runs included. The key is handed to `work`, to be passed on to what deduplicates by keys.
   */
  once<T>(
    key: string,
    work: (key: string) => T | Promise<T>,
    options?: OnceOptions,
  ): Promise<Awaited<T>>;
}

/** Who asked for a run, where that was no person and no schedule. */
export type RunTriggerInfo = RunOrigin & {
  /** Result of the run that this one was started by: of that workflow, where it was started by several. */
  result<T = unknown>(workflow?: string): Promise<T>;
};

export interface EmitOptions {
  /** Tells which runs the event is for: those that wait with the same text. */
  readonly correlation?: string;
  /** Names the event within its task, where one attempt may send others than the next; counted unless told. */
  readonly key?: string;
}

export interface TaskContext<P = Record<string, unknown>> extends RunContext<P> {
  /**
   * Result of a task that this one comes after; of a mapped task the array of what its items gave, in their order.
   * @throws Error where the task did not succeed: a task whose rule goes on after failures asks for its `outcome`
   */
  result<T>(task: TaskRef<T>): Promise<T>;
  /** Results of several tasks. */
  results<const R extends readonly TaskRef[]>(tasks: R): Promise<ResultsOf<R>>;
  /** How a task ended that this one comes after; its result where it succeeded. */
  outcome<T>(task: TaskRef<T>): Promise<TaskOutcome<T>>;
  /**
   * The value of an asset that the task names in `consumes`, wherever it is kept: of the run's partition; of a
   * partitioned asset in a run of none, an object by key.
   * @throws Error where it is not named, or has no value yet
   */
  load<T>(asset: AssetRef<T> | string, options?: LoadOptions): Promise<T>;
}

export interface LoadOptions {
  /** This partition, in place of the run's. */
  readonly partition?: string;
}

/** An asset as `load` names it. */
export interface AssetRef<T> {
  readonly key: string;
  readonly [VALUE]?: T;
}

export interface TaskOutcome<T> {
  readonly state: TaskState;
  readonly result: T | null;
}

export interface StepOptions {
  /** Tries after the first one; 0 unless told. */
  readonly retries?: number;
  /** Before each retry; 1 s unless told. */
  readonly retryDelay?: string | number;
  /** Longest time of one try. */
  readonly timeout?: string | number;
}

export interface StepContext {
  /** Aborted with the flow, and when the step's own timeout is over. */
  readonly signal: AbortSignal;
  readonly attempt: number;
}

export interface SubflowOptions {
  /** Tells two subflows of the same workflow apart; the workflow's name unless told. */
  readonly key?: string;
}

export interface WaitOptions {
  /** Gives up after this time; without it the flow's own timeout is the limit. */
  readonly timeout?: string | number;
  /** Time between two looks; 1 s unless told. */
  readonly every?: string | number;
}

export interface EventWaitOptions {
  /** Of the event; the key unless told. */
  readonly name?: string;
  /** Only an event with the same correlation is for this run. */
  readonly correlation?: string;
  /** Gives up after this time; waits without limit unless told. */
  readonly timeout?: string | number;
}

export interface InputWaitOptions {
  /** What the person is asked. */
  readonly message?: string;
  /** JSON Schema of the value. */
  readonly schema?: Readonly<Record<string, unknown>>;
  /** Gives up after this time; waits without limit unless told. */
  readonly timeout?: string | number;
}

/**
 * A workflow that others start: `P` its parameters, `R` its result, `G` the parameters as they are given (what has a
 * default may be left out).
 */
export interface FlowRef<P = unknown, R = unknown, G = unknown> {
  readonly name: string;
  readonly [RESULT]?: [P, R, G];
}

/** Parameters that a workflow is given; any where nothing is known of them. */
export type SubflowGiven<G> = unknown extends G ? Readonly<Record<string, unknown>> : NoInfer<G>;

/** What `subflow` takes after the workflow: the parameters may be left out where all of them may. */
export type SubflowArguments<G> =
  Record<never, never> extends G
    ? [parameters?: SubflowGiven<G>, options?: SubflowOptions]
    : [parameters: SubflowGiven<G>, options?: SubflowOptions];

export interface FlowContext<P = Record<string, unknown>> extends RunContext<P> {
  /**
   * Does the work once and records its result: after a crash the flow runs again from its start, and a
   * recorded step gives its result without running. A key is used once in an execution.
   */
  step<T>(
    key: string,
    work: (step: StepContext) => T | Promise<T>,
    options?: StepOptions,
  ): Promise<Awaited<T>>;
  /**
   * A step whose result is kept for other runs of the workflow too: one that finds a fresh result under the key takes
   * it in place of doing the work.
   */
  cached<T>(key: string, work: () => T | Promise<T>, options?: CachedOptions): Promise<Awaited<T>>;
  /** Sleeps through crashes: the moment of waking is recorded. */
  sleep(key: string, duration: string | number): Promise<void>;
  /**
   * Waits for an event that somebody sends (`POST /api/v1/events/NAME`, `ctx.emit`) and gives its body; null where
   * the time was over. An event that came before the wait counts: one with a correlation always, one without
   * since the run was started. A run takes an event once.
   */
  waitForEvent<T = unknown>(key: string, options?: EventWaitOptions): Promise<T | null>;
  /**
   * Waits until a person gives a value (console, `signalbox runs input`, API) that matches the schema, and gives it;
   * null where the time was over.
   */
  waitForInput<T = unknown>(key: string, options?: InputWaitOptions): Promise<T | null>;
  /** Looks until the condition holds (true) or the time is over (false); the outcome is recorded. */
  waitUntil(
    key: string,
    condition: () => boolean | Promise<boolean>,
    options?: WaitOptions,
  ): Promise<boolean>;
  /**
   * Runs another workflow, once under its key, and gives its result. A workflow as a value, rather than its name, has
   * its parameters checked by its schema when the code is compiled.
   * @throws SubflowError where its run did not succeed
   */
  subflow<R = unknown>(
    workflow: string,
    parameters?: Readonly<Record<string, unknown>>,
    options?: SubflowOptions,
  ): Promise<R>;
  subflow<R, G = unknown>(
    workflow: FlowRef<unknown, R, G>,
    ...given: SubflowArguments<G>
  ): Promise<R>;
}

export interface PartitionOfRun {
  /** The key, or the first one of a range. */
  readonly key: string;
  readonly keys: readonly string[];
  /** Begin of the (first) partition, RFC 3339; empty where it is not of time. */
  readonly start: string;
  /** End of the (last) partition, RFC 3339; empty where it is not of time. */
  readonly end: string;
  /** Keys by dimension, where there are two: `ctx.partition.dimensions.region`. */
  readonly dimensions: Readonly<Record<string, string>>;
}

export interface AssetContext extends RunContext<Record<string, unknown>> {
  /** Adds to what is recorded with this version: facts for the catalog, and how new the newest data is. */
  record(version: {
    readonly metadata?: Readonly<Record<string, unknown>>;
    readonly eventTime?: string | Date;
    /** Changes when the data does; unless told it is a hash of the value. */
    readonly dataVersion?: string;
    /** Of a run that makes several partitions: the one that this is of; all unless told. */
    readonly partition?: string;
  }): void;
  /** Key of the partition to make. @throws Error where the run is of none, or of several */
  readonly partitionKey: string;
  /** Keys of the partitions to make: one, or many with `partitionRuns: 'range'`; none for an asset without. */
  readonly partitionKeys: readonly string[];
  /** The partition to make, or the range of them. @throws Error where the run is of none */
  readonly partition: PartitionOfRun;
  /** Whether an upstream is served by a fallback at this moment. */
  degraded(input: string): boolean;
  /** The versions that stand in for what could not be made of an upstream; of partitions one for each. */
  fallbacks(input: string): readonly FallbackVersion[];
}

/** A failure that retries cannot mend: the task fails at once. */
export class NoRetryError extends Error {
  override readonly name: string = 'NoRetryError';
}

/** A failure that is to be tried again after this time, in place of the delay of the task's options. */
export class RetryLaterError extends Error {
  override readonly name: string = 'RetryLaterError';
  readonly afterMs: number;

  /** @param options `after`: a duration ("5m") or milliseconds; `cause`: what led to it */
  constructor(
    message: string,
    options: { readonly after: string | number; readonly cause?: unknown },
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.afterMs = parseDuration(options.after);
  }
}

/** What `ctx.skip` throws. */
export class SkipError extends Error {
  override readonly name = 'SkipError';
}

/** A subflow's run ended otherwise than succeeded. */
export class SubflowError extends Error {
  override readonly name = 'SubflowError';
  readonly run: Run;

  constructor(run: Run) {
    super(
      `${run.workflow} (run ${run.id}) ended ${run.state}${run.error ? `: ${run.error.message}` : ''}`,
    );
    this.run = run;
  }
}

/** A time limit of a task or step was over. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}
