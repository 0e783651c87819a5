/** Makes a version of an asset: reads what it depends on, runs its code, lets the checks look at the value. */
import type {
  AssetInputReply,
  AssetOutcome,
  AssetValue,
  PartitionOutcome,
} from '../../domain/agent-protocol.ts';
import { splitAssetKey } from '../../domain/asset.ts';
import type { InputVersion } from '../../domain/partition.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { AssetContext } from '../define/context.ts';
import type { BoundCheck, Definition, Handler } from '../define/definition.ts';
import { checkRange, partitionContext, readInput } from './asset-partition.ts';
import { throughJson } from './encode.ts';
import { toRunError } from './failure.ts';
import type { RunningTask } from './running-task.ts';
import { runContext, type TaskCalls } from './task-context.ts';

export interface AssetCalls extends TaskCalls {
  assetValue(assetKey: string): Promise<AssetValue | null>;
  /** What a task of a run is given of an upstream: the value of the partition, or partitions, that it is made from. */
  assetInput(runId: string, taskKey: string, assetKey: string): Promise<AssetInputReply>;
  exportNames(assetKey: string): Promise<readonly string[]>;
}

/** A blocking check refused the version. */
class CheckFailed extends Error {
  override readonly name = 'CheckFailed';
}

interface Recorded {
  metadata: Record<string, unknown>;
  eventTime: string | undefined;
  dataVersion: string | undefined;
  partitions: Record<string, PartitionOutcome>;
}

/**
 * Runs an asset's code and its checks; what they said is left in `task.asset`.
 * @returns the value, which others read as their input
 * @throws what the code throws; CheckFailed where a blocking check refused the value
 */
export async function makeAsset(
  task: RunningTask,
  calls: AssetCalls,
  definition: Definition,
  handler: Handler,
): Promise<unknown> {
  const inputs = await readInputs(task, calls, definition);
  const recorded: Recorded = {
    ...{ metadata: {}, eventTime: undefined, dataVersion: undefined, partitions: {} },
  };
  const context = assetContext(task, calls, inputs.degraded, recorded);
  const run = handler as (ctx: unknown, values: unknown) => unknown;
  const value = throughJson(await run(context, inputs.values));
  checkRange(task.assignment, value);
  const checks = await Promise.all(
    definition.checks.map((check) => runCheck(check, value, definition.name, task.signal)),
  );
  task.asset = {
    metadata: recorded.metadata,
    checks,
    ...(recorded.eventTime === undefined ? {} : { eventTime: recorded.eventTime }),
    ...(recorded.dataVersion === undefined ? {} : { dataVersion: recorded.dataVersion }),
    ...(Object.keys(recorded.partitions).length === 0 ? {} : { partitions: recorded.partitions }),
    inputs: inputs.versions,
  };
  const refused = checks.filter((check) => check.blocking && !check.passed);
  if (refused.length === 0) return value;
  const names = refused.map((check) => JSON.stringify(check.name)).join(', ');
  throw new CheckFailed(
    `the version was refused by ${names}: ${JSON.stringify(refused[0]?.metadata)}`,
  );
}

interface Inputs {
  readonly values: Readonly<Record<string, unknown>>;
  readonly degraded: ReadonlyMap<string, boolean>;
  readonly versions: readonly InputVersion[];
}

/** Each upstream under its key, the last part of it, what modules export it as, and the name it was given. */
async function readInputs(
  task: RunningTask,
  calls: AssetCalls,
  definition: Definition,
): Promise<Inputs> {
  const { runId, taskKey } = task.assignment;
  const read = await Promise.all(
    definition.inputs.map(async ({ key, name }) => {
      const [reply, exported] = await Promise.all([
        calls.assetInput(runId, taskKey, key),
        calls.exportNames(key),
      ]);
      const found = await readInput(key, reply, ({ value }) => value);
      const last = splitAssetKey(key).name.split('/').at(-1) ?? key;
      return { found, names: name === null ? [last, ...exported, key] : [name, key] };
    }),
  );
  const values: Record<string, unknown> = {};
  const degraded = new Map<string, boolean>();
  for (const { found, names } of read) {
    for (const name of names) {
      values[name] = found.value;
      degraded.set(name, found.degraded);
    }
  }
  return { values, degraded, versions: read.flatMap(({ found }) => found.versions) };
}

function assetContext(
  task: RunningTask,
  calls: AssetCalls,
  degraded: Inputs['degraded'],
  recorded: Recorded,
): AssetContext {
  const base = runContext(task, calls, task.assignment.parameters);
  const context = Object.assign(base, {
    record(version: Parameters<AssetContext['record']>[0]) {
      const metadata = throughJson(version.metadata ?? {});
      const eventTime = readEventTime(version.eventTime);
      const { dataVersion, partition } = version;
      if (partition === undefined) {
        Object.assign(recorded.metadata, metadata);
        recorded.eventTime = eventTime ?? recorded.eventTime;
        recorded.dataVersion = dataVersion ?? recorded.dataVersion;
        return;
      }
      if (!task.assignment.partition?.keys.includes(partition)) {
        throw new RangeError(`the run does not make the partition ${JSON.stringify(partition)}`);
      }
      const before = recorded.partitions[partition];
      recorded.partitions[partition] = {
        ...before,
        metadata: { ...before?.metadata, ...metadata },
        ...(eventTime === undefined ? {} : { eventTime }),
        ...(dataVersion === undefined ? {} : { dataVersion }),
      };
    },
    degraded: (input: string) => degraded.get(input) ?? false,
  });
  return Object.defineProperties(
    context,
    Object.getOwnPropertyDescriptors(partitionContext(task.assignment)),
  ) as AssetContext;
}

function readEventTime(given: string | Date | undefined): string | undefined {
  if (given === undefined) return undefined;
  const at = new Date(given);
  if (Number.isNaN(at.getTime())) {
    throw new RangeError(`${String(given)} is not a time: use RFC 3339 or a Date`);
  }
  return toRfc3339(at) ?? undefined;
}

async function runCheck(
  check: BoundCheck,
  value: unknown,
  assetKey: string,
  signal: AbortSignal,
): Promise<AssetOutcome['checks'][number]> {
  const { name, blocking } = check;
  const run = check.run as (value: unknown, context: unknown) => unknown;
  try {
    const said: unknown = await run(value, { assetKey, signal });
    const outcome = typeof said === 'boolean' ? { passed: said } : (said as CheckSaid | undefined);
    if (typeof outcome?.passed !== 'boolean') {
      throw new TypeError('a check gives { passed, metadata }, or true or false');
    }
    return {
      name,
      blocking,
      passed: outcome.passed,
      metadata: throughJson(outcome.metadata ?? {}),
    };
  } catch (error) {
    signal.throwIfAborted();
    // A check that cannot tell has not passed.
    const { name: kind, message } = toRunError(error);
    return { name, blocking, passed: false, metadata: { error: `${kind}: ${message}` } };
  }
}

interface CheckSaid {
  readonly passed?: unknown;
  readonly metadata?: Record<string, unknown>;
}
