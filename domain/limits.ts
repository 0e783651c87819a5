/** What limits how many tasks and runs of a definition are under way at a time, and which agents may have them. */

/** At most `limit` at a time for each key; the key is a template over the run's parameters. */
export interface TaskConcurrency {
  readonly key: string;
  readonly limit: number;
  /** `task` unless told. */
  readonly scope?: 'task' | 'workflow' | 'global';
}

/** As `TaskConcurrency`, for runs. */
export interface RunConcurrency {
  readonly key: string;
  readonly limit: number;
  readonly strategy: 'queue' | 'cancel-running' | 'cancel-new' | 'skip';
  /** `workflow` unless told. */
  readonly scope?: 'workflow' | 'global';
}

/** A task's own limits. */
export interface TaskLimits {
  /** Its own queue; its workflow's unless told. */
  readonly queue?: string;
  /** How many of it may run at a time: over all runs, and in one run. */
  readonly maxActive?: number;
  readonly maxActivePerRun?: number;
  readonly concurrency?: TaskConcurrency;
  /** Labels that an agent must have to be given it. */
  readonly requires?: Readonly<Record<string, string>>;
}

/** A workflow's. */
export interface WorkflowLimits {
  /** Tasks at a time, over all its runs. */
  readonly maxActiveTasks?: number;
  /** Runs at a time for each key. */
  readonly concurrency?: RunConcurrency;
}
