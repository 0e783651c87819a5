/** Options that a task, a flow and an asset share: how it is tried, how long, and in which pool. */
import type { TaskDefinition } from '../../domain/agent-protocol.ts';
import {
  type IsolationOptions,
  isolationOf,
  isolationReaders,
  type ReadIsolation,
} from './isolation.ts';
import { type LimitOptions, limitReaders, limitsOf } from './limit-options.ts';
import {
  DefinitionError,
  durationMs,
  factor,
  flag,
  integer,
  name,
  optional,
  type Read,
  spanMs,
  text,
  texts,
} from './options.ts';
import { type ErrorMatch, errorMatch, type RetryRule } from './retry-rule.ts';
import { type ScheduleOptions, scheduleReaders } from './schedule.ts';

export interface AttemptOptions extends IsolationOptions, LimitOptions {
  /** Tries after the first one; 0 unless told. */
  readonly retries?: number;
  /**
   * Before the first retry; 10 s unless told. A list tells the delay before each retry, the last one for all that
   * follow; there are as many retries as it is long, unless told.
   */
  readonly retryDelay?: string | number | readonly (string | number)[];
  /** Each further delay is so many times the one before; 1 unless told. */
  readonly retryBackoff?: number;
  /** Longest delay; 1 h unless told. */
  readonly retryMaxDelay?: string | number;
  /** Share of each delay that chance adds, 0 to 1; 0.1 unless told. */
  readonly retryJitter?: number;
  /** Only these errors are tried again, told by names, classes or codes: `['HttpError', 'ECONNREFUSED', '40001']`. */
  readonly retryOn?: ErrorMatch;
  /** These errors are not tried again. */
  readonly noRetryOn?: ErrorMatch;
  /** Longest time of one attempt; none unless told. */
  readonly timeout?: string | number;
  /**
   * Pool of task slots that an attempt takes its slots from. A pool that nobody created limits nothing, and is told as
   * such (`signalbox pools list`, the agent's log): `signalbox pools set NAME --max 10` creates it.
   */
  readonly pool?: string;
  readonly poolSlots?: number;
  /** Higher goes first; -1000 to 1000. */
  readonly priority?: number;
  /** Whether a second execution does no harm, so that it may start before a lost lease has run out. */
  readonly idempotent?: boolean;
}

/** Options that everything which runs by itself has. */
export interface JobOptions extends ScheduleOptions {
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly owners?: readonly string[];
  /** Queue that agents take its tasks from; `default` unless told. */
  readonly queue?: string;
  /** Runs at a time; more wait. */
  readonly maxActiveRuns?: number;
}

type ReadAttempt = Omit<
  TaskDefinition,
  | 'key'
  | 'after'
  | keyof GraphPart
  | 'retries'
  | 'retryDelayMs'
  | 'retryMaxDelayMs'
  | 'timeoutMs'
  | keyof ReturnType<typeof isolationOf>
  | keyof ReturnType<typeof limitsOf>
  | 'queue'
  | 'maxActivePerRun'
  | 'concurrency'
> &
  ReadIsolation & {
    readonly retries: number | null;
    readonly retryDelay: readonly number[];
    readonly retryJitter: number | null;
    readonly retryOn: RetryRule | null;
    readonly noRetryOn: RetryRule | null;
    readonly retryMaxDelay: number;
    readonly timeout: number | null;
    readonly maxActive: number | null;
    readonly requires: Readonly<Record<string, string>> | null;
  };

/** What says how a task stands in its graph; a flow and an asset have none of it. */
type GraphPart = Pick<
  TaskDefinition,
  | 'triggerRule'
  | 'allowFailure'
  | 'dependsOnPast'
  | 'waitForDownstream'
  | 'setup'
  | 'teardown'
  | 'map'
  | 'type'
  | 'retryDelaysMs'
  | 'retryJitter'
>;

const MAX_DELAYS = 1_000;

function delays(value: unknown = '10s'): readonly number[] {
  if (!Array.isArray(value)) return [durationMs()(value)];
  if (value.length === 0 || value.length > MAX_DELAYS) {
    throw new DefinitionError(`must be a duration, or a list of 1 to ${MAX_DELAYS} of them`);
  }
  return value.map((one) => durationMs()(one));
}

export const attemptReaders: { readonly [K in keyof ReadAttempt]: Read<ReadAttempt[K]> } = {
  retries: optional(integer(0, 10_000, 0)),
  retryDelay: delays,
  retryBackoff: factor(1, 100, 1),
  retryMaxDelay: durationMs('1h'),
  retryJitter: optional(factor(0, 1, 0)),
  retryOn: errorMatch,
  noRetryOn: errorMatch,
  timeout: optional(spanMs),
  pool: optional(name),
  poolSlots: integer(1, 10_000, 1),
  priority: integer(-1_000, 1_000, 0),
  idempotent: flag(false),
  ...isolationReaders,
  ...limitReaders,
};

export const jobReaders = {
  ...scheduleReaders,
  description: optional(text(10_000)),
  tags: texts,
  owners: texts,
  queue: ((value = 'default') => name(value)) as Read<string>,
  maxActiveRuns: optional(integer(1, 1_000_000, 1)),
};

export function taskDefinition(
  key: string,
  after: readonly string[],
  read: ReadAttempt,
): TaskDefinition {
  return {
    key,
    after,
    retries: read.retries ?? (read.retryDelay.length > 1 ? read.retryDelay.length : 0),
    retryDelayMs: read.retryDelay[0] ?? 0,
    retryBackoff: read.retryBackoff,
    retryMaxDelayMs: read.retryMaxDelay,
    timeoutMs: read.timeout,
    pool: read.pool,
    poolSlots: read.poolSlots,
    priority: read.priority,
    idempotent: read.idempotent,
    // Only what was told: other options would make another version of each definition there is.
    ...(read.retryDelay.length > 1 ? { retryDelaysMs: read.retryDelay } : {}),
    ...(read.retryJitter === null ? {} : { retryJitter: read.retryJitter }),
    ...isolationOf(read),
    ...limitsOf(read),
  };
}
