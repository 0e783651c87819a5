/** Calls a user's code with what its kind is given. */
import type { Definition, Handler } from '../define/definition.ts';
import { checkAsset } from './asset-look.ts';
import { type AssetCalls, makeAsset } from './asset-run.ts';
import { type FlowCalls, FlowRun } from './flow-run.ts';
import type { RunningTask } from './running-task.ts';
import { taskContext } from './task-context.ts';

export interface InvokeCalls extends FlowCalls, AssetCalls {}

/** @returns the result, or a promise of it */
export function invoke(
  task: RunningTask,
  calls: InvokeCalls,
  definition: Definition,
  handler: Handler,
): unknown {
  const { kind, parameters } = task.assignment;
  if (kind === 'asset') return makeAsset(task, calls, definition, handler);
  if (kind === 'check') return checkAsset(task, calls, definition);
  if (kind === 'flow') return runFlow(task, calls, definition, handler);
  const run = handler as (context: unknown) => unknown;
  if (definition.parse === null) return run(taskContext(task, calls, parameters));
  return parsed(definition, parameters).then((values) => run(taskContext(task, calls, values)));
}

async function parsed(definition: Definition, parameters: unknown): Promise<unknown> {
  return definition.parse === null ? parameters : definition.parse(parameters);
}

async function runFlow(
  task: RunningTask,
  calls: InvokeCalls,
  definition: Definition,
  handler: Handler,
): Promise<unknown> {
  const run = handler as (context: unknown, parameters: unknown) => unknown;
  const flow = new FlowRun(task, calls);
  const parameters = await parsed(definition, task.assignment.parameters);
  try {
    return await run(flow.context(parameters), parameters);
  } catch (error) {
    if (task.countsAsFailed) await flow.failed(error);
    throw error;
  }
}
