/** How tasks of a workflow depend on each other beyond one coming after the other, as agents and servers say it. */

/** Which item of which list an instance of a mapped task works on; the agent reads the list once a run. */
export interface AssignedItem {
  /** Key of the mapped task, whose code runs. */
  readonly task: string;
  /** Key of the task whose result is the list. */
  readonly over: string;
  readonly index: number;
  /** Tells one reading of the list from a later one in the same run. */
  readonly stamp: number;
}

/** Which way a run goes on after a branch. */
export interface BranchChoice {
  /** Keys of direct dependents that go on; the other ones are skipped. */
  readonly follow: readonly string[];
  /** Whether everything downstream of what is not followed is skipped as well, whatever its rule. */
  readonly skipAll?: boolean;
}

/** A task that tidies up: it runs once a setup of its succeeded and everything between is over, however it ended. */
export interface TeardownDefinition {
  /** Keys of its setups; without any it runs whenever something has run before it. */
  readonly setups: readonly string[];
  /** Whether its failure fails the run. */
  readonly failRun: boolean;
}

/** A task that runs once for each item of the array (or entry of the object) that another task returned. */
export interface MapDefinition {
  /** Key of the task whose result is the list. */
  readonly over: string;
  /** More items are a failure. */
  readonly maxItems: number;
  /** Items at a time; null for no limit. */
  readonly concurrency: number | null;
}

/**
 * What a task's priority is made of beside its own number: its weight (`absolute`), or that and the weights of all
 * tasks after it (`downstream`), or before it (`upstream`).
 */
export const WEIGHT_RULES = ['absolute', 'downstream', 'upstream'] as const;
export type WeightRule = (typeof WEIGHT_RULES)[number];

const ATTEMPT_END = /:until@\d+$/;

/** Key of the recorded step that tells when an attempt's time is over, which was given back while it waits. */
export function attemptEndKey(taskKey: string, attempt: number): string {
  return `${taskKey}:until@${attempt}`;
}

/** Whether a recorded step is such a note; no step of a user's has such a key. */
export function isAttemptEnd(key: string): boolean {
  return ATTEMPT_END.test(key);
}
