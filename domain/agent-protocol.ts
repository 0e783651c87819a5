/**
 * What an agent and a server say to each other, over HTTP under `/api/v1/agent` with a token of role `agent`.
 *
 *   POST /register                 definitions and capacity → session, lease
 *   POST /{sessionId}/claim        long poll for work; `capacity` slots are free
 *   POST /{sessionId}/complete     a batch of ended attempts; the answer hands on what became ready
 *   POST /{sessionId}/steps        a batch of durable steps that ended
 *   POST /{sessionId}/heartbeat    renews the lease; the answer tells what to cancel, how large pools may be
 *   POST /{sessionId}/logs         log lines, fire and forget with bounded buffers
 *   POST /{sessionId}/once         begin | finish | fail of a `ctx.once` key
 *   GET  /{sessionId}/results/{runId}/{taskKey}    result of an upstream task
 *   GET  /{sessionId}/steps/{runId}                recorded steps of a flow, for its replay
 *   POST /{sessionId}/runs         start a subflow (idempotent under its key); GET /runs/{id}?waitMs= waits for its end
 *   GET  /{sessionId}/assets/{key}                 newest value of an asset that another reads as its input
 *   POST /{sessionId}/stop         a clean end: what it holds is handed back at once
 *
 * An assignment carries a fencing token. Whatever speaks for an attempt carries it back, and is refused with
 * outcome `lease-lost` where the token is no longer the one that holds the task.
 */
import type { Run, RunError } from './run.ts';

/** A task handed to an agent. */
export interface Assignment {
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  readonly taskKey: string;
  readonly kind: 'task' | 'flow' | 'asset';
  readonly attempt: number;
  /** Fencing token, decimal text of a 64-bit integer. */
  readonly token: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logicalDate: string | null;
  readonly dataInterval: { readonly start: string; readonly end: string } | null;
  readonly timeoutMs: number | null;
  readonly traceparent: string | null;
}

/** The end of an attempt as the agent saw it. */
export interface Completion {
  readonly runId: string;
  readonly taskKey: string;
  readonly token: string;
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  /** A failure that retries cannot mend. */
  readonly final?: boolean;
  readonly result?: unknown;
  readonly error?: RunError;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** For an asset: what its checks said and what it wants recorded with the version. */
  readonly asset?: AssetOutcome;
}

export interface AssetOutcome {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly checks: readonly {
    name: string;
    passed: boolean;
    blocking: boolean;
    metadata: Readonly<Record<string, unknown>>;
  }[];
  readonly eventTime?: string;
}

export interface CompletionOutcome {
  readonly runId: string;
  readonly taskKey: string;
  readonly outcome: 'recorded' | 'already-recorded' | 'lease-lost';
}

export interface StepRecord {
  readonly runId: string;
  readonly token: string;
  readonly key: string;
  readonly state: 'succeeded' | 'failed';
  readonly result?: unknown;
  readonly error?: RunError;
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** A pool that lives in the agent's process and follows the ceiling that the server sets. */
export interface AgentPoolReport {
  readonly name: string;
  readonly kind: 'postgres-client';
  readonly server: string | null;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
  /** Times since start that a client waited longer than its limit. */
  readonly timeouts: number;
}

export interface HeartbeatReply {
  readonly leaseExpiresInMs: number;
  readonly cancel: readonly { runId: string; taskKey: string; token: string; reason: string }[];
  /** Ceilings for pools by name, where the server sets one. */
  readonly pools: Readonly<Record<string, number>>;
  /** False where the server gave the session up: register anew, stop what is running. */
  readonly sessionValid: boolean;
}

/** A definition as the agent (or the loader) reads it out of a workflow file. */
export interface WorkflowDefinition {
  readonly name: string;
  readonly kind: 'workflow' | 'flow' | 'asset';
  readonly file: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly schedule: {
    readonly cron: string;
    readonly timezone: string;
    readonly catchup: boolean;
  } | null;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly queue: string;
  readonly maxActiveRuns: number | null;
  readonly tasks: readonly TaskDefinition[];
  readonly asset: AssetDefinition | null;
}

export interface TaskDefinition {
  readonly key: string;
  readonly after: readonly string[];
  readonly retries: number;
  readonly retryDelayMs: number;
  readonly retryBackoff: number;
  readonly retryMaxDelayMs: number;
  readonly timeoutMs: number | null;
  readonly pool: string | null;
  readonly poolSlots: number;
  readonly priority: number;
  readonly idempotent: boolean;
}

export interface AssetDefinition {
  readonly key: string;
  readonly dependsOn: readonly string[];
  readonly source: string | null;
  readonly description: string | null;
  readonly owners: readonly string[];
  readonly warnAfterMs: number | null;
  readonly failAfterMs: number | null;
  readonly deadlineCron: string | null;
  readonly critical: boolean;
  readonly fallback: 'last-good' | null;
  readonly checks: readonly { name: string; blocking: boolean }[];
}

/** A file that could not be read as a workflow; the others go on. */
export interface WorkflowFileError {
  readonly file: string;
  readonly message: string;
}

export interface RegisterRequest {
  readonly name: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly version: string;
  readonly definitions: readonly WorkflowDefinition[];
  readonly fileErrors: readonly WorkflowFileError[];
}

export interface RegisterReply {
  readonly sessionId: string;
  readonly leaseMs: number;
  readonly heartbeatEveryMs: number;
}

export interface ClaimRequest {
  readonly capacity: number;
  readonly waitMs: number;
}

export interface ClaimReply {
  readonly assignments: readonly Assignment[];
  /** Cancellations that ended the wait; they stand in each heartbeat's answer as well, until the attempts end. */
  readonly cancel?: HeartbeatReply['cancel'];
}

export interface CompleteRequest {
  readonly completions: readonly Completion[];
  /** Slots that the agent lets this answer fill with what became ready. */
  readonly take: number;
}

export interface CompleteReply {
  readonly outcomes: readonly CompletionOutcome[];
  readonly assignments: readonly Assignment[];
}

export interface LogLine {
  readonly runId: string;
  readonly taskKey: string;
  readonly attempt: number;
  readonly at: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A line as lists show it: its time is RFC 3339. */
export interface ShownLogLine extends Omit<LogLine, 'at'> {
  readonly at: string;
}

export type OnceRequest =
  | {
      readonly op: 'begin';
      readonly runId: string;
      readonly token: string;
      readonly key: string;
      readonly onUnknown: 'repeat' | 'stop';
    }
  | {
      readonly op: 'finish';
      readonly runId: string;
      readonly token: string;
      readonly key: string;
      readonly result: unknown;
    }
  | { readonly op: 'fail'; readonly runId: string; readonly token: string; readonly key: string };

export type OnceReply =
  | { readonly outcome: 'go' }
  | { readonly outcome: 'done'; readonly result: unknown }
  | { readonly outcome: 'held'; readonly retryInMs: number }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'recorded' };

/** Body of `heartbeat`. */
export interface HeartbeatRequest {
  readonly running: number;
  readonly pools: readonly AgentPoolReport[];
  /**
   * Tokens of all assignments that the agent holds. What the server takes for running here beyond them, for
   * longer than a lease, was lost on its way (an answer that never arrived) and is given out anew.
   */
  readonly tokens?: readonly string[];
}

/** Body of `POST steps`. */
export interface StepsRequest {
  readonly steps: readonly StepRecord[];
}

/** The first record under a key of a run stays; a second one is `already-recorded`. */
export interface StepsReply {
  readonly outcomes: readonly {
    runId: string;
    key: string;
    outcome: 'recorded' | 'already-recorded' | 'lease-lost';
  }[];
}

/** Answer to `GET steps/{runId}`. */
export interface RecordedSteps {
  readonly steps: readonly RecordedStep[];
}

export interface RecordedStep {
  readonly key: string;
  readonly state: string;
  readonly result: unknown;
  readonly error: unknown;
}

/** Body of `logs`; the answer is 204. `dropped` lines found no place in the agent's buffer. */
export interface LogsRequest {
  readonly lines: readonly LogLine[];
  readonly dropped: number;
}

/** Answer to `GET results/{runId}/{taskKey}`. */
export interface ResultReply {
  readonly state: string;
  readonly result: unknown;
}

/** Body of `POST runs`; the answer is the run. */
export interface SubflowRequest {
  readonly runId: string;
  readonly token: string;
  readonly key: string;
  readonly workflow: string;
  readonly parameters: Record<string, unknown>;
}

/** Answer to `GET runs/{id}?waitMs=`: the run as it is when it has ended, or when the wait is over. */
export interface RunWaitReply {
  readonly run: Run;
  readonly result: unknown;
}

/** Answer to `GET assets/{key}`: null where the asset has no value yet. */
export interface AssetValueReply {
  readonly value: AssetValue | null;
}

export interface AssetValue {
  readonly value: unknown;
  /** True where a fallback serves it. */
  readonly degraded: boolean;
  readonly at: string;
}
