/** Calls a user's code with what its kind is given. */
import type { LoadOptions } from '../define/context.ts';
import type { Definition, Handler } from '../define/definition.ts';
import { ioIn } from '../define/io-environment.ts';
import { cacheRuleOf } from '../define/results.ts';
import { subflowOf } from '../define/subflow-task.ts';
import { checkAsset } from './asset-look.ts';
import { keepProduced, loadConsumed } from './asset-produced.ts';
import { type AssetCalls, makeAsset } from './asset-run.ts';
import { isSkip } from './failure.ts';
import { type FlowCalls, FlowRun } from './flow-run.ts';
import { readItem } from './items.ts';
import { runCached } from './results/cached.ts';
import { keeperOf } from './results/keep.ts';
import type { RunningTask } from './running-task.ts';
import { runSubflow } from './subflow-run.ts';
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
  if (kind === 'check') return checkAsset(task, calls, definition);
  task.keeper = () => keeperOf(calls, task.assignment, definition);
  if (kind === 'asset') return makeAsset(task, calls, inItsPlace(task, definition), handler);
  if (kind === 'flow') return runFlow(task, calls, definition, handler);
  if (definition.parse === null) return runTask(task, calls, definition, handler, parameters);
  return parsed(definition, parameters).then((values) =>
    runTask(task, calls, definition, handler, values),
  );
}

/** An asset's definition with its IO manager as it is in the run's environment. */
function inItsPlace({ assignment }: RunningTask, definition: Definition): Definition {
  const { environment } = assignment;
  // What is made elsewhere is read where it is.
  if (environment === undefined || definition.described.asset?.observed) return definition;
  return { ...definition, io: ioIn(definition.io ?? null, environment, definition.name) };
}

function runTask(
  task: RunningTask,
  calls: InvokeCalls,
  definition: Definition,
  handler: Handler,
  parameters: unknown,
): unknown {
  const load = (asset: unknown, options?: LoadOptions) =>
    loadConsumed(task, calls, definition, asset, options);
  const context = taskContext(task, calls, parameters, load);
  const subflow = subflowOf(handler);
  if (subflow) return runSubflow(task, calls, subflow, context);
  const { item } = task.assignment;
  const run = handler as unknown as (ctx: unknown, item?: unknown, index?: number) => unknown;
  const rule = cacheRuleOf(handler);
  const call = (...given: [unknown, unknown?, number?]) => {
    if (rule === null) return produced(task, calls, definition, run(...given));
    const { assignment } = task;
    const of = { assignment, calls, log: context.log, definition, rule };
    return runCached(of, given, () => run(...given));
  };
  if (!item) return call(context);
  return readItem(calls, task.assignment.runId, item).then((read) =>
    call(context, read, item.index),
  );
}

/** Items of a mapped task make no version each. */
function produced(
  task: RunningTask,
  calls: InvokeCalls,
  definition: Definition,
  result: unknown,
): unknown {
  if (task.assignment.item || !makesAssets(definition)) return result;
  return Promise.resolve(result).then((value) => keepProduced(task, calls, definition, value));
}

const making = new WeakMap<Definition, boolean>();

function makesAssets(definition: Definition): boolean {
  const known = making.get(definition);
  if (known !== undefined) return known;
  const found = definition.described.tasks.some(({ produces = [] }) => produces.length > 0);
  making.set(definition, found);
  return found;
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
    if (task.countsAsFailed && !isSkip(error)) await flow.failed(error);
    throw error;
  }
}
