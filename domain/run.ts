/**
 * Runs and tasks: their states, which changes are allowed, and the business key that tells whether two
 * runs are the same piece of work.
 */

import type { ProductionRead } from './environment.ts';

export const RUN_STATES = [
  'scheduled',
  'queued',
  'running',
  'retrying',
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
] as const;
export type RunState = (typeof RUN_STATES)[number];

/**
 * A task's states; `waiting` holds no agent until its time or its signal comes; `upstream-failed` never ran, since
 * something it needs failed; `lost` ends an attempt whose lease ran out.
 */
export const TASK_STATES = [
  'pending',
  'ready',
  'retrying',
  'waiting',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
  'upstream-failed',
  'lost',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const TERMINAL_RUN_STATES: readonly RunState[] = [
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
];
export const ACTIVE_RUN_STATES: readonly RunState[] = [
  'scheduled',
  'queued',
  'running',
  'retrying',
];

export function isTerminalRun(state: RunState): boolean {
  return TERMINAL_RUN_STATES.includes(state);
}

export interface DataInterval {
  readonly start: string;
  readonly end: string;
}

/** What made a run come into being. */
export const RUN_TRIGGERS = [
  'manual',
  'schedule',
  'backfill',
  'retry',
  'subflow',
  'asset',
  'sensor',
  'workflow',
  'runbook',
  'external',
] as const;
export type RunTrigger = (typeof RUN_TRIGGERS)[number];

/** A run as every list, page and detector sees it, whichever engine runs it. Times are RFC 3339 in UTC. */
export interface Run {
  readonly id: string;
  readonly workflow: string;
  /** Environment that it is of; absent for production's. */
  readonly environment?: string;
  readonly engine: string;
  readonly state: RunState;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logicalDate: string | null;
  readonly dataInterval: DataInterval | null;
  readonly trigger: RunTrigger;
  readonly priority: number;
  readonly idempotencyKey: string | null;
  readonly businessKey: string;
  readonly parentRunId: string | null;
  readonly retryOf: string | null;
  readonly traceId: string | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly error: RunError | null;
  /** Since when nothing new of it starts; null or absent where it is not paused. */
  readonly pausedAt?: string | null;
  /** Who paused it. */
  readonly pausedBy?: string | null;
  /** What a scheduled run waits for beside room; absent where there is nothing. */
  readonly waitsFor?: { readonly reason: 'depends-on-past'; readonly runId: string };
  /** Of a run of a branch: versions of production that it was made from. */
  readonly readFromProduction?: readonly ProductionRead[];
}

/** An error that led to another. */
export interface ErrorCause {
  readonly name: string;
  readonly message: string;
  /** What programs tell it by: `ECONNREFUSED`, the SQLSTATE of a database. */
  readonly code?: string;
  readonly cause?: ErrorCause;
}

/** Why something failed, as the user's code or the orchestrator said it. */
export interface RunError extends ErrorCause {
  /** With the stacks of its causes. */
  readonly stack?: string;
}

export const TASK_WAIT_REASONS = [
  'pool-full',
  'queue-paused',
  'queue-limit',
  'queue-rate',
  'no-agent',
  'no-agent-with-labels',
  'no-definition',
  'no-slot',
  'concurrency-key',
  'run-limit',
  'task-limit',
  'workflow-limit',
] as const;

/** Why a ready task does not start. */
export interface TaskWait {
  readonly reason: (typeof TASK_WAIT_REASONS)[number];
  /** The pool, the queue, the labels, the key … that it waits for. */
  readonly name: string;
  /** The same in a sentence. */
  readonly message: string;
  readonly since: string;
  /** One of the runs that hold what it waits for. */
  readonly runId?: string;
}

/** One task (or durable step) of a run, with its latest attempt. */
export interface Task {
  readonly key: string;
  readonly state: TaskState;
  /** The latest one. */
  readonly attempt: number;
  /** How many there were, the one under way included. */
  readonly attempts?: number;
  readonly dependsOn: readonly string[];
  readonly agent: string | null;
  readonly queuedAt: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly error: RunError | null;
  readonly result: unknown;
  /** Why it was skipped, or which task before it failed; absent where its state says all. */
  readonly reason?: string;
  /** Key of the mapped task that it is one item of. */
  readonly mappedFrom?: string;
  /** Of a ready task. */
  readonly waitsFor?: TaskWait;
}

/**
 * The business key: two runs with the same key do the same piece of work, so that at most one of them
 * should take effect. Job, logical date (or start of the data interval), canonical parameters and outputs
 * make it; run ids, try numbers and trigger do not. Who gives runs without a date idempotency keys of their own
 * says by that which are the same: two keys are two pieces of work.
 */
export function businessKey(of: {
  engine: string;
  job: string;
  logicalDate: string | null;
  parameters: unknown;
  outputs?: readonly string[];
  idempotencyKey?: string | null | undefined;
}): string {
  const parts = [
    of.engine,
    of.job,
    of.logicalDate === null ? '-' : new Date(of.logicalDate).toISOString(),
    canonicalJson(of.parameters ?? {}),
  ];
  if (of.outputs && of.outputs.length > 0) parts.push([...of.outputs].sort().join(','));
  if (of.logicalDate === null && of.idempotencyKey) parts.push(`key=${of.idempotencyKey}`);
  return parts.join('|');
}

/** JSON with sorted keys and one form for each number, so that equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  if (Object.is(value, -0)) return '0';
  return JSON.stringify(value) ?? 'null';
}
