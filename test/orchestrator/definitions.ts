/** Definitions as agents register them, in a word. */
import type { TaskDefinition, WorkflowDefinition } from '../../domain/agent-protocol.ts';

/** A task with its options; what is not given is as a definition has it. */
export function taskOf(key: string, more: Partial<TaskDefinition> = {}): TaskDefinition {
  return {
    key,
    after: [],
    retries: 0,
    retryDelayMs: 0,
    retryBackoff: 1,
    retryMaxDelayMs: 3_600_000,
    timeoutMs: null,
    pool: null,
    poolSlots: 1,
    priority: 0,
    idempotent: false,
    ...more,
  };
}

/** A workflow of one task, unless told. */
export function workflowOf(
  name: string,
  more: Partial<WorkflowDefinition> = {},
): WorkflowDefinition {
  return {
    name,
    kind: 'workflow',
    file: `${name}.ts`,
    tags: [],
    owners: [],
    schedule: null,
    parameters: null,
    queue: 'default',
    maxActiveRuns: null,
    tasks: [taskOf('only')],
    asset: null,
    ...more,
  };
}
