/**
 * A workflow's graph, compiled once a version: tasks in the definition's order, dependencies as indexes into it,
 * every option resolved. What runs reads only this, never the definition.
 */
import type { TaskDefinition, WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';

/** Tasks of one graph; a vector of states has one byte for each. */
const MAX_TASKS = 20_000;

export interface GraphTask extends Omit<TaskDefinition, 'after'> {
  readonly kind: 'task' | 'flow' | 'asset';
  /** Indexes of the tasks that must have succeeded before. */
  readonly after: readonly number[];
  readonly queue: string;
}

export interface Graph {
  readonly tasks: readonly GraphTask[];
}

/** Options of a flow or an asset that declares no task of its own. */
const PLAIN_TASK: Omit<TaskDefinition, 'key'> = {
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
};

/**
 * Compiles a definition. A flow or an asset is a graph of one task: its key is the definition's own task's key,
 * or the definition's name where it has none; an asset's is always the asset key.
 * @throws SignalboxError `invalid-request` that names the unknown dependency, the repeated key or the cycle
 */
export function compileGraph(definition: WorkflowDefinition): Graph {
  return linkTasks(definition.name, tasksOf(definition), {
    kind: definition.kind === 'workflow' ? 'task' : definition.kind,
    queue: definition.queue,
  });
}

function tasksOf(definition: WorkflowDefinition): readonly TaskDefinition[] {
  if (definition.kind === 'workflow') return definition.tasks;
  const own = definition.tasks[0] ?? { ...PLAIN_TASK, key: definition.name };
  const key = definition.kind === 'asset' ? (definition.asset?.key ?? definition.name) : own.key;
  return [{ ...own, key, after: [] }];
}

function linkTasks(
  name: string,
  tasks: readonly TaskDefinition[],
  { kind, queue }: Pick<GraphTask, 'kind' | 'queue'>,
): Graph {
  if (tasks.length > MAX_TASKS) {
    throw new SignalboxError('invalid-request', `${name} has more than ${MAX_TASKS} tasks`);
  }
  const indexes = new Map(tasks.map((task, index) => [task.key, index]));
  if (indexes.size < tasks.length) {
    throw new SignalboxError('invalid-request', `${name} has two tasks of one key`);
  }
  const linked = tasks.map(({ after, ...task }): GraphTask => {
    const places = after.map((key) => {
      const index = indexes.get(key);
      if (index !== undefined) return index;
      throw new SignalboxError(
        'invalid-request',
        `${name}: ${task.key} comes after ${key}, which is not a task`,
      );
    });
    return { ...task, kind, queue, after: [...new Set(places)] };
  });
  const graph = { tasks: linked };
  const looped = findCycle(graph);
  if (looped !== null) {
    throw new SignalboxError('invalid-request', `${name}: ${looped} waits for itself in a circle`);
  }
  return graph;
}

/** Key of a task that is part of a cycle or waits for one; null where the graph has none. */
export function findCycle(graph: Graph): string | null {
  const left = graph.tasks.map((task) => task.after.length);
  const dependents = graph.tasks.map((): number[] => []);
  for (const [index, task] of graph.tasks.entries()) {
    for (const upstream of task.after) dependents[upstream]?.push(index);
  }
  const free = left.flatMap((count, index) => (count === 0 ? [index] : []));
  let ended = 0;
  for (let index = free.pop(); index !== undefined; index = free.pop()) {
    ended += 1;
    for (const dependent of dependents[index] ?? []) {
      const remaining = (left[dependent] ?? 0) - 1;
      left[dependent] = remaining;
      if (remaining === 0) free.push(dependent);
    }
  }
  return ended === graph.tasks.length
    ? null
    : (graph.tasks[left.findIndex((count) => count > 0)]?.key ?? null);
}
