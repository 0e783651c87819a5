import {
  type CallbackOptions,
  callbackFlow,
  callbackReaders,
  callbacksOf,
  describedCallbacks,
} from './callback.ts';
import type { FlowContext, FlowRef } from './context.ts';
import {
  deadlinesOf,
  describedDeadlines,
  type RunDeadlineOptions,
  runDeadlineReaders,
} from './deadline.ts';
import { aboutOf, DEFINITION, type Definition, stackHere } from './definition.ts';
import { type RunLimitOptions, runLimitReaders } from './limit-options.ts';
import { type On, readOn } from './on.ts';
import { DefinitionError, inDefinition, name as readName, readOptions } from './options.ts';
import {
  type GivenParameters,
  type ParameterSchema,
  type Parameters,
  readSchema,
} from './parameters.ts';
import { retryRules } from './retry-rule.ts';
import { scheduleOf } from './schedule.ts';
import {
  type AttemptOptions,
  attemptReaders,
  type JobOptions,
  jobReaders,
  taskDefinition,
} from './task-options.ts';

/** Key of the one task that a flow is. */
export const FLOW_TASK = 'flow';

export interface FlowOptions<S extends ParameterSchema>
  extends JobOptions,
    AttemptOptions,
    RunDeadlineOptions,
    RunLimitOptions,
    CallbackOptions {
  /** Ends of other workflows' runs and new versions of assets that start a run. */
  readonly on?: On;
  /** JSON Schema of the parameters, or a TypeBox or Zod schema. */
  readonly parameters?: S;
}

/** A workflow in plain code, with durable steps. */
export interface Flow<P = unknown, R = unknown, G = unknown> extends Definition, FlowRef<P, R, G> {
  readonly name: string;
}

/**
 * Defines a flow: plain code whose `ctx.step` calls are recorded, so that it goes on after a crash where it was.
 * Between its steps the code must do the same each time it runs.
 */
export function flow<const S extends ParameterSchema = { type: 'object' }, R = unknown>(
  name: string,
  options: FlowOptions<S>,
  handler: (ctx: FlowContext<Parameters<S>>, parameters: Parameters<S>) => R | Promise<R>,
): Flow<Parameters<S>, R, GivenParameters<S>> {
  return inDefinition(`flow ${JSON.stringify(name)}`, () => {
    readName(name);
    if (typeof handler !== 'function') {
      throw new DefinitionError('a function is needed after the options');
    }
    const { parameters, ...read } = readOptions(options, {
      ...jobReaders,
      ...attemptReaders,
      parameters: readSchema,
      on: readOn,
      ...runLimitReaders,
      ...runDeadlineReaders,
      ...callbackReaders,
    });
    const schedule = scheduleOf(read);
    const callbacks = callbacksOf(read);
    const madeAt = stackHere();
    return {
      [DEFINITION]: true,
      name,
      described: {
        name,
        kind: 'flow',
        ...aboutOf(read),
        schedule,
        parameters: parameters.jsonSchema,
        queue: read.queue,
        maxActiveRuns: read.maxActiveRuns,
        ...(read.concurrency === null ? {} : { concurrency: read.concurrency }),
        tasks: [taskDefinition(FLOW_TASK, [], read)],
        asset: null,
        ...(read.on === null ? {} : { on: read.on }),
        ...describedDeadlines(deadlinesOf(read), schedule),
        ...describedCallbacks(callbacks),
      },
      handlers: new Map([[FLOW_TASK, handler]]),
      parse: parameters.parse,
      retryRules: retryRules([[FLOW_TASK, read]]),
      checks: [],
      inputs: [],
      companions: callbackFlow({ name, queue: read.queue, madeAt }, callbacks),
      madeAt,
    };
  });
}
