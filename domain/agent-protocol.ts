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
 *   POST /{sessionId}/waits                        what a flow waits for (an event, a person's input); waits for it
 *   POST /{sessionId}/suspend                      gives a flow that waits back until its time or its answer comes
 *   POST /{sessionId}/events                       sends an event to flows that wait for it
 *   POST /{sessionId}/looks        long poll for sensors that are due; `looks/complete` tells what one look gave
 *   GET  /{sessionId}/assets/{key}                 newest value of an asset that another reads as its input
 *   GET  /{sessionId}/assets/{key}/for/{runId}/{taskKey}   values of the partitions that the task is made from
 *   POST /{sessionId}/partitions   adds or removes keys of dynamic partitions
 *   GET  /{sessionId}/assets/{key}/history         what its last versions recorded, for checks that compare
 *   PUT, GET /{sessionId}/blobs/{runId}/{name}     content of large results, streamed; `cache` and `artifacts` take POSTs
 *   POST /{sessionId}/stop         a clean end: what it holds is handed back at once
 *   POST /{sessionId}/died         told by whoever watches the agent's process: it is gone, what it held is lost
 *
 * An assignment carries a fencing token. Whatever speaks for an attempt carries it back, and is refused with
 * outcome `lease-lost` where the token is no longer the one that holds the task.
 */
import type { AssetDefinition, AssetOutcome, CheckDefinition } from './asset-protocol.ts';
import type { CallbackDefinition } from './callback.ts';
import type { CodeVersions } from './code-version.ts';
import type { DeadlineDefinition } from './deadline.ts';
import type { TaskLimits, WorkflowLimits } from './limits.ts';
import type { OnDefinition, RunOrigin } from './origin.ts';
import type { AssignedPartition } from './partition.ts';
import type { Run, RunError } from './run.ts';
import type { WorkflowSchedule } from './schedule.ts';
import type { SensorDefinition } from './sensor.ts';
import type {
  AssignedItem,
  BranchChoice,
  MapDefinition,
  TeardownDefinition,
  WeightRule,
} from './task-graph.ts';
import type { TriggerRule } from './trigger-rule.ts';

export type {
  AssetDefinition,
  AssetHistoryReply,
  AssetInputReply,
  AssetOutcome,
  AssetValue,
  AssetValueReply,
  CheckDefinition,
  PartitionOutcome,
  RecordedVersion,
} from './asset-protocol.ts';

export type { RegisterReply } from './register-reply.ts';

import type { NextTask } from './next-task.ts';

export type { RunConcurrency, TaskConcurrency } from './limits.ts';
export type { OnceReply, OnceRequest } from './once.ts';

/** A task handed to an agent. */
export interface Assignment {
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  readonly taskKey: string;
  /** `check`: looks at the stored value of an asset, without making it anew. */
  readonly kind: 'task' | 'flow' | 'asset' | 'check';
  readonly attempt: number;
  /** Fencing token, decimal text of a 64-bit integer. */
  readonly token: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly logicalDate: string | null;
  readonly dataInterval: { readonly start: string; readonly end: string } | null;
  readonly timeoutMs: number | null;
  readonly traceparent: string | null;
  /** Who asked for the run; absent where that was a person or a schedule. */
  readonly trigger?: RunOrigin;
  /** For one item of a mapped task. */
  readonly item?: AssignedItem;
  /** Of a run that makes partitions: those that this task makes. */
  readonly partition?: AssignedPartition;
  /** Environment of the run; production unless told. */
  readonly environment?: string;
  /** An earlier attempt was lost with its agent: this one is to have a process of its own, so that it dies alone. */
  readonly isolated?: boolean;
}

/**
 * Where the code of a task runs. `shared`: in the agent's process. `process`: in a process of its own. `auto`:
 * shared, until an attempt was lost with its agent.
 */
export const ISOLATIONS = ['auto', 'process', 'shared'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

/** The end of an attempt as the agent saw it. */
export interface Completion {
  readonly runId: string;
  readonly taskKey: string;
  readonly token: string;
  /** `skipped`: the code asked for it; `error` holds the reason. */
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'skipped';
  /** A failure that retries cannot mend. */
  readonly final?: boolean;
  /** Delay before the next attempt, in place of the one that the task's options give. */
  readonly retryAfterMs?: number;
  /** For a branch or a short circuit that succeeded. */
  readonly branch?: BranchChoice;
  readonly result?: unknown;
  readonly error?: RunError;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** For an asset: what its checks said and what it wants recorded with the version. */
  readonly asset?: AssetOutcome;
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
  /** The server's time, which agents keep to. */
  readonly now?: number;
  readonly cancel: readonly { runId: string; taskKey: string; token: string; reason: string }[];
  /** Ceilings for pools by name, where the server sets one. */
  readonly pools: Readonly<Record<string, number>>;
  /** False where the server gave the session up: register anew, stop what is running. */
  readonly sessionValid: boolean;
}

/** A definition as the agent (or the loader) reads it out of a workflow file. */
export interface WorkflowDefinition extends WorkflowLimits, CodeVersions {
  readonly name: string;
  readonly kind: 'workflow' | 'flow' | 'asset';
  readonly file: string;
  readonly description?: string;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly schedule: WorkflowSchedule | null;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly queue: string;
  readonly maxActiveRuns: number | null;
  readonly tasks: readonly TaskDefinition[];
  readonly asset: AssetDefinition | null;
  /** What starts a run beside the schedule. */
  readonly on?: OnDefinition;
  /** Set for a sensor; it is no workflow then. */
  readonly sensor?: SensorDefinition;
  /** A check that stands by itself, of an asset of any file. */
  readonly check?: CheckDefinition | null;
  /** When its runs, or tasks of them, must have ended. */
  readonly deadlines?: readonly DeadlineDefinition[];
  /** What is told of how its runs and their tasks end. */
  readonly callbacks?: readonly CallbackDefinition[];
  /** The workflow whose callbacks its runs run: it is no workflow of its own for people. */
  readonly callbacksOf?: string;
  /** It (or the sensor) is paused when it is registered for the first time. */
  readonly startsPaused?: boolean;
}

export interface TaskDefinition extends TaskLimits {
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
  /** Added to `priority` by a rule, once for each version; 1 where the workflow has weights and it tells none. */
  readonly priorityWeight?: number;
  /** `downstream` unless told. */
  readonly weightRule?: WeightRule;
  readonly idempotent: boolean;
  /** `all-succeeded` unless told. */
  readonly triggerRule?: TriggerRule;
  /** Whether its failure leaves the run as good as it was. */
  readonly allowFailure?: boolean;
  /** Delays before the first, second, … retry, the last one for all that follow; in place of `retryDelayMs`. */
  readonly retryDelaysMs?: readonly number[];
  /** Share of a retry's delay that chance adds, 0 to 1; 0.1 unless told. */
  readonly retryJitter?: number;
  readonly setup?: boolean;
  readonly teardown?: TeardownDefinition;
  readonly map?: MapDefinition;
  /** Whether in a scheduled run it waits until it has succeeded in the scheduled run before. */
  readonly dependsOnPast?: boolean;
  /** Whether it waits for what comes directly after it there as well. */
  readonly waitForDownstream?: boolean;
  /** Assets that a success of it makes, and that it reads. */
  readonly produces?: readonly string[];
  readonly consumes?: readonly string[];
  /** As the agent says, unless told. */
  readonly isolation?: Isolation;
  /** Heap of the process that an isolated attempt has, in MiB; Node's own limit unless told. */
  readonly memoryMiB?: number;
  /** How long code may go on after it was told to stop, before its process is ended; 5 s unless told. */
  readonly cancelGraceMs?: number;
  /** What it is beside a plain task, for who looks at it. */
  readonly type?: 'branch' | 'short-circuit' | 'subflow';
}

/** A file that could not be read as a workflow; the others go on. */
export interface WorkflowFileError {
  readonly file: string;
  readonly message: string;
  /** Who told of it, and when; as lists show it. */
  readonly agent?: string | null;
  readonly at?: string;
}

export interface RegisterRequest {
  /** A session of the agent that goes on, and defines this from now on; without it a new one is opened. */
  readonly session?: string;
  /** Environment that it works for; production unless told. */
  readonly environment?: string;
  readonly name: string;
  readonly queues: readonly string[];
  readonly concurrency: number;
  /** What it has that tasks may require. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly version: string;
  readonly definitions: readonly WorkflowDefinition[];
  readonly fileErrors: readonly WorkflowFileError[];
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
  /** The answer's outcomes name only completions that were not recorded by it. */
  readonly brief?: boolean;
  /** The answer may tell tasks of the completions' runs by `next`. */
  readonly compact?: boolean;
}

export interface CompleteReply {
  readonly outcomes: readonly CompletionOutcome[];
  readonly assignments: readonly Assignment[];
  /** Further assignments, only where `compact` was asked for. */
  readonly next?: readonly NextTask[];
}

export interface LogLine {
  readonly runId: string;
  readonly taskKey: string;
  readonly attempt: number;
  readonly at: number;
  /** Counts the lines of an attempt, so that those of one millisecond keep their order. */
  readonly seq?: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A line as lists show it: its time is RFC 3339. */
export interface ShownLogLine extends Omit<LogLine, 'at' | 'seq'> {
  readonly at: string;
  /** A list from here on begins behind this line. */
  readonly cursor?: string;
}

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

/** Body of `died`; the answer is 204. */
export interface DiedRequest {
  /** What happened, as the lost attempts tell it. */
  readonly reason: string;
  /** The attempt that is known to have caused it, by its token: it has failed, and is not lost. */
  readonly culprit?: { readonly token: string; readonly message: string };
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

/** Path and query of the same call. */
export interface AssetInputRequest {
  readonly runId: string;
  readonly taskKey: string;
  readonly assetKey: string;
  /** For one of the partitions that the task makes; for all of them unless told. */
  readonly partition?: string | undefined;
}

/** Body of `POST partitions`: a task adds to or takes from a list of dynamic partitions. */
export interface DynamicPartitionsRequest {
  readonly name: string;
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}
