/** What a workflow's function is given to write its tasks down with. */
import type { TaskDefinition } from '../../domain/agent-protocol.ts';
import type { WeightRule } from '../../domain/task-graph.ts';
import type { Asset } from './asset.ts';
import { readAssetKeys } from './asset-inputs.ts';
import { type CallbackOptions, callbackReaders, callbacksOf } from './callback.ts';
import type { FlowRef, GroupRef, TaskContext, TaskRef } from './context.ts';
import { type DeadlineOptions, deadlineReaders, deadlinesOf } from './deadline.ts';
import { decision } from './decision.ts';
import type { Handler } from './definition.ts';
import {
  type TaskConcurrencyOptions,
  type TaskLimitOptions,
  taskLimitReaders,
  weightReaders,
} from './limit-options.ts';
import {
  DefinitionError,
  flag,
  inDefinition,
  integer,
  optional,
  type Read,
  name as readName,
  readOptions,
} from './options.ts';
import { type CacheOptions, readCache, withCache } from './results.ts';
import { retryRules } from './retry-rule.ts';
import {
  readSubflowParameters,
  readWorkflow,
  type SubflowParameters,
  subflowHandler,
} from './subflow-task.ts';
import {
  type Before,
  type PlaceOptions,
  placeReaders,
  type TaskGraph,
  type WrittenTask,
} from './task-graph.ts';
import { type AttemptOptions, attemptReaders, taskDefinition } from './task-options.ts';

export interface TaskOptions
  extends AttemptOptions,
    PlaceOptions,
    TaskLimitOptions,
    DeadlineOptions,
    CallbackOptions {
  /**
   * Airflow's way of telling what goes first: added to `priority`, with the weights of all tasks after it (or before
   * it, or alone, as `weightRule` says). A task without one counts 1 in a workflow that has weights.
   */
  readonly priorityWeight?: number;
  /** `downstream` unless told here or in the workflow's options. */
  readonly weightRule?: WeightRule;
  /** Assets that a success of it makes, or their keys; what it returns is the value (of several, an object by key). */
  readonly produces?: readonly (Asset | string)[];
  /** Assets that it reads, or their keys; lineage shows it. */
  readonly consumes?: readonly (Asset | string)[];
  /** Takes the result of an earlier execution with the same key in place of running. */
  readonly cache?: CacheOptions<TaskContext>;
}

export interface ShortCircuitOptions extends TaskOptions {
  /** Only what comes directly after it is skipped at once; the rules of the rest decide. */
  readonly respectRules?: boolean;
}

export interface MapOptions<P, L> extends Omit<TaskOptions, 'concurrency'> {
  /** Task that gives the list, or a function that does; an object is a list of its entries. */
  readonly over: TaskRef<L> | string | ((parameters: P, ctx: TaskContext<P>) => L | Promise<L>);
  /** More items are a failure; 10,000 unless told, at most 100,000. */
  readonly maxItems?: number;
  /** Items of one run at a time, or a limit for each key; as many as agents have slots unless told. */
  readonly concurrency?: number | TaskConcurrencyOptions;
}

export interface SubflowTaskOptions<P, R, G = unknown> extends TaskOptions {
  readonly workflow: string | FlowRef<unknown, R, G>;
  readonly parameters?: SubflowParameters<P, G>;
  /** Whether the task goes on until the run has ended, and gives its result; unless told it does. */
  readonly wait?: boolean;
}

/** Of a workflow by its name, which says nothing of its parameters. */
export interface NamedSubflowOptions<P> extends SubflowTaskOptions<P, unknown> {
  readonly workflow: string;
}

/** Parameters of a subflow must be given where one of them may not be left out. */
export type SubflowNeeds<P, G> =
  Record<never, never> extends G ? unknown : { readonly parameters: SubflowParameters<P, G> };

export interface GroupOptions {
  /** What all tasks of the group come after. */
  readonly after?: readonly Before[];
}

/** What one item of a list is: an element of an array, or an entry of an object. */
export type ItemOf<L> = L extends readonly (infer I)[]
  ? I
  : L extends object
    ? [key: string, value: L[keyof L]]
    : unknown;

/** What goes on after a branch: tasks or groups that come directly after it; nothing for none. */
export type Choice = TaskRef | GroupRef | string | null | undefined;

export interface WorkflowBuilder<P> {
  /** Adds a task; what it gives back names it in `after` and `ctx.result`. */
  task<T>(
    key: string,
    options: TaskOptions,
    handler: (ctx: TaskContext<P>) => T | Promise<T>,
  ): TaskRef<T>;
  /** Adds a task that says which of the tasks directly after it go on; the other ones are skipped. */
  branch(
    key: string,
    options: TaskOptions,
    handler: (
      ctx: TaskContext<P>,
    ) => Choice | readonly Choice[] | Promise<Choice | readonly Choice[]>,
  ): TaskRef<string[]>;
  /** Adds a task that ends the way of the run here where it gives false: all that comes after it is skipped. */
  shortCircuit(
    key: string,
    options: ShortCircuitOptions,
    handler: (ctx: TaskContext<P>) => unknown,
  ): TaskRef<boolean>;
  /**
   * Adds a task that runs once for each item of a list that is known only when the run is under way. Each item is a
   * task of its own (`key[0]`, `key[1]`, …) with its own attempts, retries and log.
   */
  map<L, T>(
    key: string,
    options: MapOptions<P, L>,
    handler: (ctx: TaskContext<P>, item: ItemOf<L>, index: number) => T | Promise<T>,
  ): TaskRef<T[]>;
  /** Adds a task that is the run of another workflow, once for each try; it holds no slot while it waits. */
  subflow<R = unknown>(key: string, options: NamedSubflowOptions<P>): TaskRef<R>;
  subflow<R, G = unknown>(
    key: string,
    options: SubflowTaskOptions<P, R, G> & SubflowNeeds<P, G>,
  ): TaskRef<R>;
  /** Adds tasks whose keys begin with the group's name (`name.task`). */
  group<T>(name: string, build: (g: WorkflowBuilder<P>) => T): GroupRef<T>;
  group<T>(name: string, options: GroupOptions, build: (g: WorkflowBuilder<P>) => T): GroupRef<T>;
}

const MAX_ITEMS = 10_000;
const MOST_ITEMS = 100_000;
const taskReaders = {
  ...attemptReaders,
  ...placeReaders,
  ...deadlineReaders,
  ...callbackReaders,
  ...taskLimitReaders,
  ...weightReaders,
  queue: optional(readName),
  produces: readAssetKeys,
  consumes: readAssetKeys,
  cache: readCache,
};

/** Of the list that a mapped task runs over nobody is told. */
const NOTHING_TOLD = readOptions({}, { ...deadlineReaders, ...callbackReaders });

const NO_LIMITS = { maxActive: null, maxActivePerRun: null, concurrency: null };
const mostItems = integer(1, MOST_ITEMS, 1);
const readMapConcurrency = (value: unknown) =>
  typeof value === 'number' ? mostItems(value) : taskLimitReaders.concurrency(value);

type Code = (ctx: never, ...more: never[]) => unknown;

/** @param scope name of the group that the tasks are of; empty for none */
export function builderOf<P>(graph: TaskGraph, scope: string): WorkflowBuilder<P> {
  const full = (key: string) => (scope === '' ? key : `${scope}.${key}`);
  const within = <T>(key: unknown, add: (key: string) => T): T =>
    inDefinition(`task ${JSON.stringify(key)}`, () => add(full(readName(key))));
  return {
    task: (key, options, handler) =>
      within(key, (name) => {
        const read = readTask(options);
        return addTask(graph, scope, name, read, codeOf(handler));
      }),
    branch: (key, options, handler) =>
      within(key, (name) => {
        const read = readTask(options);
        const run = codeOf(handler) as (ctx: never) => unknown;
        const decide = async (ctx: never) => {
          const follow = graph.chosen(scope, await run(ctx));
          return decision(follow, { follow });
        };
        return addTask(graph, scope, name, read, decide, { type: 'branch' });
      }),
    shortCircuit: (key, options, handler) =>
      within(key, (name) => {
        const { respectRules, ...read } = readOptions(options, {
          ...taskReaders,
          respectRules: flag(false),
        });
        const run = codeOf(handler) as (ctx: never) => unknown;
        const decide = async (ctx: never) =>
          (await run(ctx)) ? true : decision(false, { follow: [], skipAll: !respectRules });
        return addTask(graph, scope, name, read, decide, { type: 'short-circuit' });
      }),
    map: (key, options, handler) =>
      within(key, (name) => addMap(graph, scope, name, options, handler)),
    subflow: (key: string, options: unknown) =>
      within(key, (name) => addSubflow(graph, scope, name, options)),
    group: <T>(
      name: string,
      second: GroupOptions | ((g: WorkflowBuilder<P>) => T),
      third?: (g: WorkflowBuilder<P>) => T,
    ) =>
      inDefinition(`group ${JSON.stringify(name)}`, () => {
        const group = full(readName(name));
        const build = third ?? second;
        if (typeof build !== 'function') throw new DefinitionError('a function is needed');
        const { after } = readOptions(third ? second : {}, { after: (value: unknown) => value });
        graph.addGroup(group, scope, after);
        return { group, tasks: build(builderOf<P>(graph, group)) };
      }),
  };
}

function codeOf(handler: unknown): Code {
  if (typeof handler === 'function') return handler as Code;
  throw new DefinitionError('a function is needed after the options');
}

function readTask(options: unknown) {
  return readOptions(options as object, taskReaders);
}

type ReadTask = ReturnType<typeof readTask>;

function addTask<T>(
  graph: TaskGraph,
  scope: string,
  key: string,
  read: ReadTask,
  handler: Code,
  more: Pick<TaskDefinition, 'type' | 'map'> & { readonly over?: WrittenTask['over'] } = {},
): TaskRef<T> {
  const {
    after,
    triggerRule,
    allowFailure,
    dependsOnPast,
    waitForDownstream,
    setup,
    teardown,
    failRun,
    ...rest
  } = read;
  const { produces, consumes, cache, queue, concurrency, maxActivePerRun, ...others } = rest;
  const { priorityWeight, weightRule, ...attempt } = others;
  const limits = {
    ...(priorityWeight === null ? {} : { priorityWeight }),
    ...(weightRule === null ? {} : { weightRule }),
    ...(queue === null ? {} : { queue }),
    ...(concurrency === null ? {} : { concurrency }),
    ...(maxActivePerRun === null ? {} : { maxActivePerRun }),
  };
  const assets = {
    ...(produces.length === 0 ? {} : { produces }),
    ...(consumes.length === 0 ? {} : { consumes }),
  };
  const { over, ...graphPart } = more;
  graph.add({
    key,
    scope,
    place: {
      after,
      triggerRule,
      allowFailure,
      dependsOnPast,
      waitForDownstream,
      setup,
      teardown,
      failRun,
    },
    definition: { ...taskDefinition(key, [], attempt), ...limits, ...assets, ...graphPart },
    handler: withCache(handler as Handler, cache, { ...assets, ...more }),
    retryRule: retryRules([[key, attempt]]).get(key),
    deadlines: deadlinesOf(read, key),
    callbacks: callbacksOf(read, key),
    ...(over === undefined ? {} : { over }),
  });
  return { key };
}

const readOver: Read<WrittenTask['over'] | Code> = (value) => {
  if (typeof value === 'function') return value as Code;
  if (typeof value === 'string') return { key: value };
  if (typeof value === 'object' && value !== null && 'key' in value) {
    if (typeof value.key === 'string') return { key: value.key };
  }
  throw new DefinitionError('must be the task that gives the list, or a function that does');
};

function addMap<T>(
  graph: TaskGraph,
  scope: string,
  key: string,
  options: unknown,
  handler: unknown,
): TaskRef<T[]> {
  const {
    over,
    maxItems,
    concurrency: wanted,
    ...others
  } = readOptions(options as object, {
    ...taskReaders,
    over: readOver,
    maxItems: integer(1, MOST_ITEMS, MAX_ITEMS),
    concurrency: readMapConcurrency,
  });
  const concurrency = typeof wanted === 'number' ? wanted : null;
  const read = { ...others, concurrency: typeof wanted === 'number' ? null : wanted };
  let list = over;
  if (typeof list === 'function') {
    // A list that code gives is a task as well: it is made once, and its result is recorded.
    const give = list as (parameters: unknown, ctx: unknown) => unknown;
    const items = (ctx: { readonly parameters: unknown }) => give(ctx.parameters, ctx);
    const nothing = {
      ...{ dependsOnPast: false, waitForDownstream: false },
      teardown: null,
      setup: false,
      failRun: false,
      produces: [],
      consumes: [],
      cache: null,
    };
    const plain = { ...read, ...NOTHING_TOLD, ...nothing, ...NO_LIMITS };
    list = addTask(graph, scope, `${key}.items`, plain, items as Code);
  }
  const map = { over: '', maxItems, concurrency };
  const more = list === undefined ? { map } : { map, over: list };
  return addTask(graph, scope, key, read, codeOf(handler), more);
}

function addSubflow<T>(graph: TaskGraph, scope: string, key: string, options: unknown): TaskRef<T> {
  const { workflow, parameters, wait, ...read } = readOptions(options as object, {
    ...taskReaders,
    workflow: readWorkflow,
    parameters: readSubflowParameters,
    wait: flag(true),
  });
  const handler = subflowHandler({ workflow, parameters, wait });
  return addTask(graph, scope, key, read, handler, { type: 'subflow' });
}
