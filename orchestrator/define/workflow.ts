import type { TaskDefinition } from '../../domain/agent-protocol.ts';
import type { FlowRef, TaskContext, TaskRef } from './context.ts';
import { DEFINITION, type Definition, type Handler, stackHere } from './definition.ts';
import { findTaskCycle } from './graph.ts';
import { type IsolationOptions, isolationOf, isolationReaders } from './isolation.ts';
import { DefinitionError, inDefinition, name as readName, readOptions } from './options.ts';
import { type ParameterSchema, type Parameters, readSchema } from './parameters.ts';
import { scheduleOf } from './schedule.ts';
import {
  type AttemptOptions,
  attemptReaders,
  type JobOptions,
  jobReaders,
  taskDefinition,
} from './task-options.ts';

export interface WorkflowOptions<S extends ParameterSchema> extends JobOptions, IsolationOptions {
  /** JSON Schema of the parameters, or a TypeBox or Zod schema. */
  readonly parameters?: S;
}

export interface TaskOptions extends AttemptOptions {
  /** Tasks that must have succeeded before, or their keys. */
  readonly after?: readonly (TaskRef | string)[];
}

export interface WorkflowBuilder<P> {
  /** Adds a task; what it gives back names it in `after` and `ctx.result`. */
  task<T>(
    key: string,
    options: TaskOptions,
    handler: (ctx: TaskContext<P>) => T | Promise<T>,
  ): TaskRef<T>;
}

/** A workflow that is made of tasks with dependencies. */
export interface Workflow<P = unknown> extends Definition, FlowRef<P> {
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
): Workflow<Parameters<S>> {
  return inDefinition(`workflow ${JSON.stringify(name)}`, () => {
    readName(name);
    const { parameters, ...read } = readOptions(options, {
      ...jobReaders,
      ...isolationReaders,
      parameters: readSchema,
    });
    const tasks: TaskDefinition[] = [];
    const handlers = new Map<string, Handler>();
    build({
      task: (key, taskOptions, handler) =>
        inDefinition(`task ${JSON.stringify(key)}`, () => {
          readName(key);
          if (handlers.has(key)) throw new DefinitionError('there are two tasks of this key');
          if (typeof handler !== 'function') {
            throw new DefinitionError('a function is needed after the options');
          }
          tasks.push(readTask(key, taskOptions));
          handlers.set(key, handler);
          return { key };
        }),
    });
    checkGraph(tasks);
    return {
      [DEFINITION]: true,
      name,
      described: {
        name,
        kind: 'workflow',
        ...(read.description === null ? {} : { description: read.description }),
        tags: read.tags,
        owners: read.owners,
        schedule: scheduleOf(read),
        parameters: parameters.jsonSchema,
        queue: read.queue,
        maxActiveRuns: read.maxActiveRuns,
        tasks: tasks.map((task) => ({ ...isolationOf(read), ...task })),
        asset: null,
      },
      handlers,
      parse: parameters.parse,
      checks: [],
      inputs: [],
      madeAt: stackHere(),
    };
  });
}

function readTask(key: string, options: TaskOptions): TaskDefinition {
  const { after, ...read } = readOptions(options, { ...attemptReaders, after: readAfter });
  return taskDefinition(key, after, read);
}

function readAfter(value: unknown): readonly string[] {
  const list: readonly unknown[] =
    value === undefined ? [] : Array.isArray(value) ? value : [value];
  const keys = list.map((one) => {
    const key = typeof one === 'object' && one !== null && 'key' in one ? one.key : one;
    if (typeof key === 'string') return key;
    throw new DefinitionError('must hold tasks, or their keys');
  });
  return [...new Set(keys)];
}

function checkGraph(tasks: readonly TaskDefinition[]): void {
  if (tasks.length === 0) throw new DefinitionError('it has no tasks');
  const keys = new Set(tasks.map((task) => task.key));
  for (const task of tasks) {
    const missing = task.after.find((key) => !keys.has(key));
    if (missing !== undefined) {
      throw new DefinitionError(
        `task ${JSON.stringify(task.key)} comes after ${JSON.stringify(missing)}, which is not a task of it`,
      );
    }
  }
  const cycle = findTaskCycle(tasks);
  if (cycle !== null) {
    throw new DefinitionError(`tasks wait for each other in a circle: ${cycle.join(' → ')}`);
  }
}
