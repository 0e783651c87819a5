/**
 * Slots of an agent that the server may fill with what became ready: those that it offers with a completion, and
 * those of a claim that waits.
 */
import type { Assignment } from '../../domain/agent-protocol.ts';
import type { AssignedItem } from '../../domain/task-graph.ts';
import { assignedPartition } from '../assets/partitions/of-task.ts';
import type { GraphTask } from '../catalog/graph.ts';
import type { Instance } from '../runs/expansion.ts';
import type { RunInfo } from '../runs/run-info.ts';
import type { DefinitionSet } from './definitions.ts';

export interface Offer {
  /** Row of `agent_session`. */
  readonly sessionId: string;
  readonly queues: ReadonlySet<string>;
  /** What it may be given. */
  readonly definitions: DefinitionSet;
  /** Slots that are not filled yet, nor reserved by a transaction under way. */
  left: number;
  /** What fills the others. */
  readonly assignments: Assignment[];
  /** Told after each transaction that reserved slots, however it ended. */
  settled?(): void;
}

/**
 * A task in an agent's hands.
 * @param isolated whether an earlier attempt was lost with its agent
 */
export function toAssignment(
  info: RunInfo,
  task: GraphTask,
  attempt: number,
  token: string,
  isolated = false,
): Assignment {
  const partition = info.partitions && assignedPartition(info.partitions, task);
  return {
    runId: info.runId,
    workflow: info.workflow,
    version: info.version.version,
    taskKey: task.key,
    kind: task.kind,
    attempt,
    token,
    parameters: info.parameters,
    logicalDate: info.logicalDate,
    dataInterval: info.dataInterval,
    timeoutMs: task.timeoutMs,
    traceparent: info.traceparent,
    ...(info.origin === null ? {} : { trigger: info.origin }),
    ...(partition ? { partition } : {}),
    ...(isolated ? { isolated } : {}),
    ...(task.instance ? { item: itemOf(task.instance) } : {}),
  };
}

function itemOf({ task, over, index, stamp }: Instance): AssignedItem {
  return { task, over, index, stamp };
}
