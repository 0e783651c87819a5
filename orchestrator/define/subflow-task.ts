/** A task that is the run of another workflow: the agent starts it and waits without holding a slot. */
import type { SubflowGiven, TaskContext } from './context.ts';
import { DefinitionError } from './options.ts';

const SUBFLOW = Symbol.for('signalbox.subflow');

export interface SubflowCode {
  readonly workflow: string;
  /** Parameters of the run; may ask for results of tasks before. */
  parameters(ctx: never): unknown;
  /** Whether the task goes on until the run has ended; without it, it succeeds once that is started. */
  readonly wait: boolean;
}

type SubflowHandler = ((ctx: never) => never) & { readonly [SUBFLOW]: SubflowCode };

/** A handler that the agent knows as a subflow. */
export function subflowHandler(code: SubflowCode): SubflowHandler {
  return Object.assign(
    () => {
      throw new Error('a subflow is run by the agent');
    },
    { [SUBFLOW]: code },
  );
}

/** What a handler starts; undefined for any other handler. */
export function subflowOf(handler: object): SubflowCode | undefined {
  return SUBFLOW in handler ? (handler as SubflowHandler)[SUBFLOW] : undefined;
}

/** Name of the workflow that is to run. */
export function readWorkflow(value: unknown): string {
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : value;
  if (typeof name === 'string' && name !== '') return name;
  throw new DefinitionError('must be a workflow or a flow, or its name');
}

/** Parameters of a subflow task, or what gives them out of results of tasks before. */
export type SubflowParameters<P, G = unknown> =
  | SubflowGiven<G>
  | ((ctx: TaskContext<P>) => SubflowGiven<G> | Promise<SubflowGiven<G>>);

/** Reads `parameters`: an object is what a function gives that always gives the same. */
export function readSubflowParameters(value: unknown): SubflowCode['parameters'] {
  if (value === undefined) return () => ({});
  if (typeof value === 'function') return value as SubflowCode['parameters'];
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return () => value;
  throw new DefinitionError('must be an object, or a function that gives one');
}
