/**
 * What people do to runs by hand, and what each action would change: the same words whether it is only shown
 * (`dryRun`) or done. Lists are cut at a limit; counts are of everything.
 */
import type { RunError, RunState, TaskState } from './run.ts';

export type ControlAction = 'clear' | 'mark' | 'cancel' | 'pause' | 'resume' | 'retry';

/** Why an action touches a task. */
export const EFFECT_REASONS = [
  'selected',
  'upstream',
  'downstream',
  // Goes with a task that was chosen: its setup or teardown.
  'setup-teardown',
  // Never ran, because of a task that was chosen; it is decided anew.
  'decided-anew',
  // What has to come first is done now.
  'can-start',
  // Something before it has failed, so that it can never run.
  'cannot-run',
] as const;
export type EffectReason = (typeof EFFECT_REASONS)[number];

export interface TaskEffect {
  readonly key: string;
  readonly from: TaskState;
  readonly to: TaskState;
  readonly reason: EffectReason;
  /** Whether an attempt under way is told to stop, and its result refused. */
  readonly stopped: boolean;
}

/** What becomes of a run. */
export interface RunEffect {
  readonly runId: string;
  readonly workflow: string;
  readonly logicalDate: string | null;
  readonly from: RunState;
  readonly to: RunState;
  readonly tasks: readonly TaskEffect[];
  /** Recorded steps of a flow that are forgotten. */
  readonly stepsForgotten: readonly string[];
  /** Versions of assets that are recorded, since tasks that make them are marked as succeeded; none unless told. */
  readonly versions?: readonly MarkedVersion[];
}

/** A version of an asset that a mark records: of these partitions, or of the whole. */
export interface MarkedVersion {
  readonly asset: string;
  /** At most 100 of them; null for an asset, or a run, without. */
  readonly partitions: readonly string[] | null;
  readonly count: number;
}

/** What an action changes, or has changed. */
export interface Effect {
  readonly action: ControlAction;
  readonly dryRun: boolean;
  readonly runs: readonly RunEffect[];
  /** Runs that the action would have to leave alone, and why. */
  readonly refused: readonly { readonly runId: string; readonly reason: string }[];
  /** What lies behind the changed tasks and is not changed itself. */
  readonly downstream: {
    readonly tasks: readonly { readonly runId: string; readonly key: string }[];
    readonly childRuns: readonly {
      readonly id: string;
      readonly workflow: string;
      readonly state: RunState;
    }[];
    readonly assets: readonly { readonly key: string; readonly owners: readonly string[] }[];
  };
  readonly counts: EffectCounts;
  /** Where to go on, for an action on more runs than one call takes. */
  readonly nextCursor: string | null;
}

export interface EffectCounts {
  /** Runs that change. */
  readonly runs: number;
  readonly tasks: number;
  /** Tasks that run again, at once or once what comes before them is done. */
  readonly rerun: number;
  /** Attempts under way that are stopped. */
  readonly stopped: number;
  readonly stepsForgotten: number;
  readonly downstreamTasks: number;
  readonly childRuns: number;
  readonly assets: number;
  readonly refused: number;
}

/** Which runs an action on many is for. */
export interface RunSelection {
  readonly workflow: string;
  /** Only runs in one of these states. */
  readonly states?: readonly RunState[];
  /** Logical dates, or times of creation where a run has none, from (inclusive) and to (exclusive); RFC 3339. */
  readonly from?: string;
  readonly to?: string;
  /** At most so many in one call. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface TaskSelection {
  /** Keys of tasks, or of recorded steps of a flow; all tasks unless told. */
  readonly tasks?: readonly string[];
  readonly downstream?: boolean;
  readonly upstream?: boolean;
  /** Of these only what has failed, was cancelled, or could not run. */
  readonly onlyFailed?: boolean;
}

export interface ClearRequest extends TaskSelection {
  /** Stops attempts of chosen tasks that are under way; without it such runs are refused. */
  readonly force?: boolean;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

export interface MarkRequest {
  readonly as: 'succeeded' | 'failed';
  /** These tasks; the whole run unless told. */
  readonly tasks?: readonly string[];
  /** Result of the one task that is marked as succeeded. */
  readonly result?: unknown;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

export interface CancelRequest {
  /** Only these tasks; the whole run, with the runs that it started, unless told. */
  readonly tasks?: readonly string[];
  readonly reason?: string;
  readonly dryRun?: boolean;
}

export interface RetryRequest {
  /** From this task (or recorded step of a flow) on, whatever became of it and of what follows. */
  readonly from?: string;
  /** From the very beginning. */
  readonly all?: boolean;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

export interface RerunRequest {
  /** In place of those of the run. */
  readonly parameters?: Record<string, unknown>;
  readonly idempotencyKey?: string;
}

/** One attempt of a task. Times are RFC 3339 in UTC. */
export interface Attempt {
  readonly attempt: number;
  readonly state: TaskState;
  readonly agent: string | null;
  readonly queuedAt: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly error: RunError | null;
  /** Of the result as JSON; null where there is none. */
  readonly resultBytes: number | null;
  /** Run whose cached result it took in place of running. */
  readonly cachedFrom?: string;
}

/** Something that a person did to a run. */
export interface RunActionRecord {
  readonly at: string;
  readonly actor: string;
  readonly action: ControlAction;
  readonly reason: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}
