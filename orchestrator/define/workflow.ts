import type { WeightRule } from '../../domain/task-graph.ts';
import {
  type CallbackOptions,
  callbackFlow,
  callbackReaders,
  callbacksOf,
  describedCallbacks,
} from './callback.ts';
import type { FlowRef } from './context.ts';
import {
  deadlinesOf,
  describedDeadlines,
  type RunDeadlineOptions,
  runDeadlineReaders,
} from './deadline.ts';
import { aboutOf, DEFINITION, type Definition, stackHere } from './definition.ts';
import { type IsolationOptions, isolationOf, isolationReaders } from './isolation.ts';
import {
  limitReaders,
  type RunLimitOptions,
  runLimitReaders,
  weightReaders,
} from './limit-options.ts';
import { type On, readOn } from './on.ts';
import { DefinitionError, inDefinition, name as readName, readOptions } from './options.ts';
import {
  type GivenParameters,
  type ParameterSchema,
  type Parameters,
  readSchema,
} from './parameters.ts';
import { scheduleOf } from './schedule.ts';
import { TaskGraph } from './task-graph.ts';
import { type JobOptions, jobReaders } from './task-options.ts';
import { builderOf, type WorkflowBuilder } from './workflow-builder.ts';

export interface WorkflowOptions<S extends ParameterSchema>
  extends JobOptions,
    IsolationOptions,
    RunDeadlineOptions,
    RunLimitOptions,
    CallbackOptions {
  /** Tasks at a time, over all runs of the workflow. */
  readonly maxActiveTasks?: number;
  /** Labels that an agent must have to be given its tasks; what a task requires itself is asked for besides. */
  readonly requires?: Readonly<Record<string, string>>;
  /** How weights of its tasks (`priorityWeight`) add up, where they do not say; `downstream` unless told. */
  readonly weightRule?: WeightRule;
  /** Ends of other workflows' runs and new versions of assets that start a run. */
  readonly on?: On;
  /** JSON Schema of the parameters, or a TypeBox or Zod schema. */
  readonly parameters?: S;
}

/** A workflow that is made of tasks with dependencies. */
export interface Workflow<P = unknown, G = unknown> extends Definition, FlowRef<P, unknown, G> {
  readonly name: string;
}

/**
 * Defines a workflow of tasks.
 * @throws DefinitionError that names the task and the option that is wrong
 */
export function workflow<const S extends ParameterSchema = { type: 'object' }>(
  name: string,
  options: WorkflowOptions<S>,
  build: (w: WorkflowBuilder<Parameters<S>>) => void,
): Workflow<Parameters<S>, GivenParameters<S>> {
  return inDefinition(`workflow ${JSON.stringify(name)}`, () => {
    readName(name);
    const { parameters, ...read } = readOptions(options, {
      ...jobReaders,
      ...isolationReaders,
      parameters: readSchema,
      on: readOn,
      maxActiveTasks: limitReaders.maxActive,
      requires: limitReaders.requires,
      weightRule: weightReaders.weightRule,
      ...runLimitReaders,
      ...runDeadlineReaders,
      ...callbackReaders,
    });
    if (typeof build !== 'function') {
      throw new DefinitionError('a function that adds the tasks is needed after the options');
    }
    const graph = new TaskGraph();
    const built: unknown = build(builderOf<Parameters<S>>(graph, ''));
    if (built instanceof Promise) {
      built.catch(() => undefined);
      throw new DefinitionError(
        'the function that adds the tasks must not be async: what it added later would be lost',
      );
    }
    const tasks = graph.definitions();
    const schedule = scheduleOf(read);
    const callbacks = [...callbacksOf(read), ...graph.callbacks];
    const madeAt = stackHere();
    return {
      [DEFINITION]: true,
      name,
      described: {
        name,
        kind: 'workflow',
        ...aboutOf(read),
        schedule,
        parameters: parameters.jsonSchema,
        queue: read.queue,
        maxActiveRuns: read.maxActiveRuns,
        ...(read.maxActiveTasks === null ? {} : { maxActiveTasks: read.maxActiveTasks }),
        ...(read.concurrency === null ? {} : { concurrency: read.concurrency }),
        tasks: tasks.map((task) => ({
          ...isolationOf(read),
          ...(read.weightRule === null ? {} : { weightRule: read.weightRule }),
          ...task,
          ...(read.requires ? { requires: { ...read.requires, ...task.requires } } : {}),
        })),
        asset: null,
        ...(read.on === null ? {} : { on: read.on }),
        ...describedDeadlines([...deadlinesOf(read), ...graph.deadlines], schedule),
        ...describedCallbacks(callbacks),
      },
      handlers: graph.handlers,
      retryRules: graph.retryRules,
      parse: parameters.parse,
      checks: [],
      inputs: [],
      companions: callbackFlow({ name, queue: read.queue, madeAt }, callbacks),
      madeAt,
    };
  });
}
