/** Options that a task, a flow and an asset share: how it is tried, how long, and in which pool. */
import type { TaskDefinition } from '../../domain/agent-protocol.ts';
import {
  type IsolationOptions,
  isolationOf,
  isolationReaders,
  type ReadIsolation,
} from './isolation.ts';
import {
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
import { type ScheduleOptions, scheduleReaders } from './schedule.ts';

export interface AttemptOptions extends IsolationOptions {
  /** Tries after the first one; 0 unless told. */
  readonly retries?: number;
  /** Before the first retry; 10 s unless told. */
  readonly retryDelay?: string | number;
  /** Each further delay is so many times the one before; 1 unless told. */
  readonly retryBackoff?: number;
  /** Longest delay; 1 h unless told. */
  readonly retryMaxDelay?: string | number;
  /** Longest time of one attempt; none unless told. */
  readonly timeout?: string | number;
  /** Pool of task slots that an attempt takes its slots from. */
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
  | 'retryDelayMs'
  | 'retryMaxDelayMs'
  | 'timeoutMs'
  | keyof ReturnType<typeof isolationOf>
> &
  ReadIsolation & {
    readonly retryDelay: number;
    readonly retryMaxDelay: number;
    readonly timeout: number | null;
  };

export const attemptReaders: { readonly [K in keyof ReadAttempt]: Read<ReadAttempt[K]> } = {
  retries: integer(0, 10_000, 0),
  retryDelay: durationMs('10s'),
  retryBackoff: factor(1, 100, 1),
  retryMaxDelay: durationMs('1h'),
  timeout: optional(spanMs),
  pool: optional(name),
  poolSlots: integer(1, 10_000, 1),
  priority: integer(-1_000, 1_000, 0),
  idempotent: flag(false),
  ...isolationReaders,
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
    retries: read.retries,
    retryDelayMs: read.retryDelay,
    retryBackoff: read.retryBackoff,
    retryMaxDelayMs: read.retryMaxDelay,
    timeoutMs: read.timeout,
    pool: read.pool,
    poolSlots: read.poolSlots,
    priority: read.priority,
    idempotent: read.idempotent,
    ...isolationOf(read),
  };
}
