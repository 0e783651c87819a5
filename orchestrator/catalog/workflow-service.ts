/** Workflows as the rest of the product uses them. */
import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { OnDefinition } from '../../domain/origin.ts';
import type { WeightRule } from '../../domain/task-graph.ts';
import type { Actor, Page, PageQuery } from '../service.ts';

export interface WorkflowSummary {
  readonly name: string;
  readonly kind: WorkflowDefinition['kind'] | 'system';
  readonly description: string | null;
  readonly paused: boolean;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
  readonly schedule: WorkflowDefinition['schedule'];
  readonly nextRunAt: string | null;
  readonly version: string;
  readonly parameters: Readonly<Record<string, unknown>> | null;
  readonly taskCount: number;
  readonly file: string;
}

/** A task of a workflow, as its page shows it. */
interface WorkflowTask {
  readonly key: string;
  readonly after: readonly string[];
  /** What claims go by, beside the run's own priority; absent for 0. */
  readonly priority?: number;
  /** As the code says it. */
  readonly priorityWeight?: number;
  readonly weightRule?: WeightRule;
}

/** A workflow with its tasks. */
export interface WorkflowDetail extends WorkflowSummary {
  readonly tasks: readonly WorkflowTask[];
  /** What starts a run beside the schedule. */
  readonly on?: OnDefinition;
}

export interface WorkflowService {
  list(query: PageQuery): Promise<Page<WorkflowSummary>>;
  get(name: string): Promise<WorkflowDetail>;
  setPaused(name: string, paused: boolean, actor: Actor): Promise<WorkflowDetail>;
  /**
   * Upserts what a loader or an agent read; a file that fails is recorded and hurts no other.
   * @param agent whose word it is: it takes the place of what that one told before, in its session
   */
  register(
    definitions: readonly WorkflowDefinition[],
    errors: readonly WorkflowFileError[],
    agent?: string | null,
    session?: string,
  ): Promise<void>;
  /** @param environment production unless told */
  fileErrors(environment?: string): Promise<readonly WorkflowFileError[]>;
  /** Files of production that have a fault. */
  faultyFiles(): Promise<number>;
}
