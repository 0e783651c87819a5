/** Makes a version of an asset: reads what it depends on, runs its code, lets the checks look at the value. */
import type {
  AssetInputReply,
  AssetOutcome,
  AssetValue,
  Assignment,
  PartitionOutcome,
} from '../../domain/agent-protocol.ts';
import { splitAssetKey } from '../../domain/asset.ts';
import type { FallbackVersion } from '../../domain/asset-protocol.ts';
import type { InputVersion } from '../../domain/partition.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { AssetContext } from '../define/context.ts';
import type { Definition, Handler } from '../define/definition.ts';
import { observeAsset } from './asset-look.ts';
import {
  byPartition,
  checkRange,
  eachPartition,
  partitionContext,
  type ReadInput,
  readInput,
} from './asset-partition.ts';
import { type KeptRange, keepRange } from './asset-range.ts';
import { loadObserved, loadValue } from './asset-value.ts';
import { type KeptVersion, keepVersion, type VersionCalls } from './asset-version.ts';
import { throughJson } from './encode.ts';
import type { RunningTask } from './running-task.ts';
import { runContext, type TaskCalls } from './task-context.ts';

export interface AssetCalls extends TaskCalls, VersionCalls {
  assetValue(assetKey: string): Promise<AssetValue | null>;
  /** What a task of a run is given of an upstream: the value of the partition, or partitions, that it is made from. */
  assetInput(
    runId: string,
    taskKey: string,
    assetKey: string,
    partition?: string,
  ): Promise<AssetInputReply>;
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
  inputs: InputVersion[];
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
  if (definition.described.asset?.observed === true) {
    return observeAsset(task, calls, definition, handler);
  }
  const begun = calls.clock.now();
  const recorded: Recorded = {
    ...{ metadata: {}, eventTime: undefined, dataVersion: undefined, partitions: {} },
    inputs: [],
  };
  const run = handler as (ctx: unknown, values: unknown) => unknown;
  const value = await eachPartition(task, definition, async (key, place) => {
    const inputs = await readInputs(task, calls, definition, key);
    noteInputs(recorded, inputs, key);
    const context = assetContext(task, calls, inputs, recorded, place);
    return run(context, inputs.values);
  });
  checkRange(task.assignment, value);
  const durationOf = () => ({ durationMs: calls.clock.now() - begun });
  const published: Record<string, PartitionOutcome> = {};
  const kept = await keep(task, calls, definition, value, (key, outcome) => {
    published[key] = outcome;
    // Should the attempt break off, these are there nevertheless.
    task.asset = {
      ...outcomeOf(recorded, { metadata: durationOf(), checks: [], stored: null }, published),
      published: Object.keys(published),
    };
  });
  const { metadata, checks, stored } = kept;
  task.asset = {
    ...outcomeOf(
      recorded,
      { metadata: { ...durationOf(), ...metadata }, checks, stored },
      kept.partitions,
    ),
    ...(kept.published.length === 0 ? {} : { published: kept.published }),
  };
  refuse(kept.checks);
  return kept.result;
}

/** @throws CheckFailed where a blocking check has not passed */
export function refuse(checks: AssetOutcome['checks'], of?: string): void {
  const refused = checks.filter((check) => check.blocking && !check.passed);
  if (refused.length === 0) return;
  const names = refused.map((check) => JSON.stringify(check.name)).join(', ');
  const what = of === undefined ? 'the version' : `the version of ${of}`;
  const { metadata = {} } = refused[0] ?? {};
  const facts = Object.keys(metadata).length === 0 ? '' : `: ${JSON.stringify(metadata)}`;
  throw new CheckFailed(`${what} was refused by ${names}${facts}`);
}

function outcomeOf(
  recorded: Recorded,
  kept: Pick<KeptVersion, 'metadata' | 'checks' | 'stored'>,
  made: Readonly<Record<string, PartitionOutcome>>,
): AssetOutcome {
  const partitions = { ...recorded.partitions };
  for (const [key, one] of Object.entries(made)) {
    const said = partitions[key];
    partitions[key] = { ...one, ...said, metadata: { ...one.metadata, ...said?.metadata } };
  }
  return {
    metadata: { ...kept.metadata, ...recorded.metadata },
    checks: kept.checks,
    ...(recorded.eventTime === undefined ? {} : { eventTime: recorded.eventTime }),
    ...(recorded.dataVersion === undefined ? {} : { dataVersion: recorded.dataVersion }),
    ...(Object.keys(partitions).length === 0 ? {} : { partitions }),
    ...(kept.stored === null ? {} : { stored: kept.stored }),
    inputs: recorded.inputs,
  };
}

async function keep(
  task: RunningTask,
  calls: AssetCalls,
  definition: Definition,
  value: unknown,
  onPublished: Parameters<typeof keepRange>[5],
): Promise<KeptRange> {
  const keys = task.assignment.partition?.keys ?? [];
  if (keys.length > 1) return keepRange(task, calls, definition, keys, value, onPublished);
  const kept = await keepVersion(task, calls, definition, keys[0], value);
  return { ...kept, partitions: {}, published: [] };
}

interface Inputs {
  readonly values: Readonly<Record<string, unknown>>;
  readonly degraded: ReadonlyMap<string, boolean>;
  readonly fallbacks: ReadonlyMap<string, readonly FallbackVersion[]>;
  readonly versions: readonly InputVersion[];
  /** By partition that is made, what it is made from; where the task makes several at once. */
  readonly of: ReadonlyMap<string, readonly InputVersion[]>;
}

/** Keeps what was read, with the partition that it was read for. */
function noteInputs(recorded: Recorded, { versions, of }: Inputs, key: string | undefined): void {
  recorded.inputs.push(...versions);
  const parts = key === undefined ? of : new Map([[key, versions]]);
  for (const [partition, inputs] of parts) {
    recorded.partitions[partition] = { ...recorded.partitions[partition], inputs };
  }
}

/** Each upstream under its key, the last part of it, what modules export it as, and the name it was given. */
async function readInputs(
  task: RunningTask,
  calls: AssetCalls,
  definition: Definition,
  partition: string | undefined,
): Promise<Inputs> {
  const { runId, taskKey } = task.assignment;
  const read = await Promise.all(
    definition.inputs.map(async ({ key, name }) => {
      const [reply, exported] = await Promise.all([
        calls.assetInput(runId, taskKey, key, partition),
        calls.exportNames(key),
      ]);
      const found = await readUpstream(calls, key, reply, task.signal);
      const last = splitAssetKey(key).name.split('/').at(-1) ?? key;
      return { found, names: name === null ? [last, ...exported, key] : [name, key] };
    }),
  );
  const values: Record<string, unknown> = {};
  const degraded = new Map<string, boolean>();
  const fallbacks = new Map<string, readonly FallbackVersion[]>();
  for (const { found, names } of read) {
    for (const name of names) {
      values[name] = found.value;
      degraded.set(name, found.degraded);
      fallbacks.set(name, found.fallbacks ?? []);
    }
  }
  const versions = read.flatMap(({ found }) => found.versions);
  return { values, degraded, fallbacks, versions, of: byPartition(read.map(({ found }) => found)) };
}

/** What the server answered of an upstream, with the values from wherever they are kept. */
export async function readUpstream(
  calls: AssetCalls,
  key: string,
  reply: AssetInputReply,
  signal: AbortSignal,
): Promise<ReadInput> {
  const load = (version: AssetValue) => loadValue(calls, key, version, signal);
  return (await readObserved(calls, key, reply, signal)) ?? readInput(key, reply, load);
}

/** Of data made elsewhere there are no versions: it is read where it is. */
async function readObserved(
  calls: AssetCalls,
  key: string,
  { values, missing }: AssetInputReply,
  signal: AbortSignal,
): Promise<ReadInput | null> {
  if (values.length > 0 || missing.length === 0) return null;
  const source = await calls.definition(key);
  if (source?.described.asset?.observed !== true) return null;
  return { value: await loadObserved(source, signal), degraded: false, versions: [], of: {} };
}

function assetContext(
  task: RunningTask,
  calls: AssetCalls,
  { degraded, fallbacks }: Pick<Inputs, 'degraded' | 'fallbacks'>,
  recorded: Recorded,
  place: Assignment['partition'] = task.assignment.partition,
): AssetContext {
  const base = runContext(task, calls, task.assignment.parameters);
  const context = Object.assign(base, {
    record(version: Parameters<AssetContext['record']>[0]) {
      const metadata = throughJson(version.metadata ?? {});
      const eventTime = readEventTime(version.eventTime);
      const { dataVersion } = version;
      const own = place === task.assignment.partition ? undefined : place?.keys[0];
      const partition = version.partition ?? own;
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
    fallbacks: (input: string) => fallbacks.get(input) ?? [],
  });
  if (place && place !== task.assignment.partition && place.interval) {
    Object.defineProperty(context, 'dataInterval', { value: place.interval });
  }
  return Object.defineProperties(
    context,
    Object.getOwnPropertyDescriptors(partitionContext(place)),
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
