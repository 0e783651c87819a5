/**
 * A workflow's graph, compiled once a version: tasks in the definition's order, dependencies as indexes into it,
 * every option resolved. What runs reads only this, never the definition.
 */
import type {
  AssetDefinition,
  RunConcurrency,
  TaskDefinition,
  WorkflowDefinition,
} from '../../domain/agent-protocol.ts';
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { PartitionsDefinition } from '../../domain/partition.ts';
import type { Instance } from '../runs/expansion.ts';
import { spanOf } from './span.ts';
import { withWeights } from './weights.ts';

/** Tasks of one graph; a vector of states has one byte for each. */
const MAX_TASKS = 20_000;

/** What a task that makes an asset has to know of it. */
export interface GraphAsset {
  readonly partitions: PartitionsDefinition | null;
  readonly codeVersion: string | null;
}

export interface GraphTask extends Omit<TaskDefinition, 'after' | 'teardown' | 'map'> {
  readonly kind: 'task' | 'flow' | 'asset' | 'check';
  /** Indexes of the tasks that it comes after. */
  readonly after: readonly number[];
  readonly queue: string;
  readonly teardown?: { readonly setups: readonly number[]; readonly failRun: boolean };
  /** Of a teardown: tasks between its setups and itself that it waits for beside those of `after`. */
  readonly between?: readonly number[];
  readonly map?: {
    readonly over: number;
    readonly maxItems: number;
    readonly concurrency: number | null;
  };
  /** Of an instance of a mapped task; never stored, a run's own graph has it. */
  readonly instance?: Instance;
  /** Tasks of the workflow at a time, over all its runs. */
  readonly maxActiveTasks?: number;
  /** Of an asset that has partitions or a version of its code. */
  readonly asset?: GraphAsset;
}

export interface Graph {
  readonly tasks: readonly GraphTask[];
  /** Absent for none, as nearly all have it. */
  readonly deadlines?: readonly DeadlineDefinition[];
  /** Runs at a time for each key. */
  readonly concurrency?: RunConcurrency;
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
  const graph = linkTasks(definition.name, tasksOf(definition), {
    kind: definition.kind === 'workflow' ? 'task' : definition.check ? 'check' : definition.kind,
    queue: definition.queue,
    ...(definition.maxActiveTasks === undefined
      ? {}
      : { maxActiveTasks: definition.maxActiveTasks }),
  });
  const whole = withAsset(graph, definition.asset);
  const { deadlines = [], concurrency } = definition;
  return {
    ...whole,
    ...(deadlines.length === 0 ? {} : { deadlines }),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
}

function tasksOf(definition: WorkflowDefinition): readonly TaskDefinition[] {
  if (definition.kind === 'workflow') return definition.tasks;
  const own = definition.tasks[0] ?? { ...PLAIN_TASK, key: definition.name };
  const key = definition.kind === 'asset' ? (definition.asset?.key ?? definition.name) : own.key;
  return [{ ...own, key, after: [] }];
}

function withAsset(graph: Graph, of: AssetDefinition | null): Graph {
  const { partitions = null, codeVersion = null } = of ?? {};
  if (partitions === null && codeVersion === null) return graph;
  return { tasks: graph.tasks.map((task) => ({ ...task, asset: { partitions, codeVersion } })) };
}

function linkTasks(
  name: string,
  tasks: readonly TaskDefinition[],
  { kind, queue, ...limits }: Pick<GraphTask, 'kind' | 'queue' | 'maxActiveTasks'>,
): Graph {
  if (tasks.length > MAX_TASKS) {
    throw new SignalboxError('invalid-request', `${name} has more than ${MAX_TASKS} tasks`);
  }
  const indexes = new Map(tasks.map((task, index) => [task.key, index]));
  if (indexes.size < tasks.length) {
    throw new SignalboxError('invalid-request', `${name} has two tasks of one key`);
  }
  const placesOf = (of: string, keys: readonly string[], words: string) =>
    keys.map((key) => {
      const index = indexes.get(key);
      if (index !== undefined) return index;
      throw new SignalboxError(
        'invalid-request',
        `${name}: ${of} ${words} ${key}, which is not a task`,
      );
    });
  const linked = tasks.map(({ after, teardown, map, ...task }): GraphTask => {
    const places = placesOf(task.key, after, 'comes after');
    const [over] = map ? placesOf(task.key, [map.over], 'maps over') : [];
    const setups = placesOf(task.key, teardown?.setups ?? [], 'tidies up after');
    return {
      ...{ ...task, ...limits, kind, queue: task.queue ?? queue },
      after: [...new Set([...places, ...setups, ...(over === undefined ? [] : [over])])],
      ...(teardown ? { teardown: { ...teardown, setups } } : {}),
      ...(map && over !== undefined ? { map: { ...map, over } } : {}),
    };
  });
  refuseTwoMeanings(name, tasks, indexes);
  refuseCycle(name, { tasks: linked });
  const graph = { tasks: withWeights(linked) };
  if (!linked.some(({ teardown }) => teardown)) return graph;
  const spanned = { tasks: graph.tasks.map(spanOf(graph.tasks)) };
  refuseCycle(name, spanned, ': name in "after" of the teardowns what each of them is to wait for');
  return spanned;
}

function refuseCycle(name: string, graph: Graph, advice = ''): void {
  const looped = findCycle(graph);
  if (looped === null) return;
  throw new SignalboxError(
    'invalid-request',
    `${name}: ${looped} waits for itself in a circle${advice}`,
  );
}

/** Keys of instances are made of the mapped task's key: no other task may have one of them. */
function refuseTwoMeanings(
  name: string,
  tasks: readonly TaskDefinition[],
  indexes: ReadonlyMap<string, number>,
): void {
  if (!tasks.some(({ map }) => map)) return;
  for (const key of indexes.keys()) {
    const mapped = tasks[indexes.get(/^(.*)\[\d+\]$/.exec(key)?.[1] ?? '') ?? -1];
    if (mapped?.map) {
      const detail = `${name}: ${key} is the key of an item of the mapped task ${mapped.key}`;
      throw new SignalboxError('invalid-request', detail);
    }
  }
}

/** Key of a task that is part of a cycle or waits for one; null where the graph has none. */
export function findCycle(graph: Graph): string | null {
  const gates = graph.tasks.map(({ after, between = [] }) => [...after, ...between]);
  const left = gates.map((gate) => gate.length);
  const dependents = graph.tasks.map((): number[] => []);
  for (const [index, gate] of gates.entries()) {
    for (const upstream of gate) dependents[upstream]?.push(index);
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
