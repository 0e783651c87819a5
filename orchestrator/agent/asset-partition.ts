/** Partitions as an asset's code sees them: which one it makes, and what it is given of its upstreams. */
import type { AssetInputReply, AssetValue, Assignment } from '../../domain/agent-protocol.ts';
import type { FallbackVersion } from '../../domain/asset-protocol.ts';
import type { AssignedPartition, InputVersion } from '../../domain/partition.ts';
import { assignedOf } from '../assets/partitions/of-task.ts';
import type { PartitionOfRun } from '../define/context.ts';
import type { Definition } from '../define/definition.ts';
import type { RunningTask } from './running-task.ts';

/** An upstream has nothing of what is asked for. */
class MissingInput extends Error {
  override readonly name = 'MissingInput';
}

const NONE =
  'this run is of no partition: give the asset `partitions`, and materialize one of them';

/** The part of an asset's context that tells of partitions; made of getters, since most code never looks. */
export function partitionContext(partition: Assignment['partition']) {
  return {
    get partitionKeys(): readonly string[] {
      return partition?.keys ?? [];
    },
    get partitionKey(): string {
      if (!partition) throw new Error(NONE);
      const [key, ...more] = partition.keys;
      if (key !== undefined && more.length === 0) return key;
      throw new Error(
        `this run makes ${partition.keys.length} partitions: its code must use ctx.partitionKeys`,
      );
    },
    get partition(): PartitionOfRun {
      if (!partition) throw new Error(NONE);
      const { keys, interval, dimensions } = partition;
      return {
        key: keys[0] ?? '',
        keys,
        start: interval?.start ?? '',
        end: interval?.end ?? '',
        dimensions: dimensions ?? {},
      };
    },
  };
}

/** What the code is given of one upstream. */
export interface ReadInput {
  readonly value: unknown;
  readonly degraded: boolean;
  /** What stands in for versions that could not be made. */
  readonly fallbacks?: readonly FallbackVersion[];
  readonly versions: readonly InputVersion[];
  /** Keys of the upstream by partition that is made from them; empty where the task makes one. */
  readonly of: Readonly<Record<string, readonly string[]>>;
}

/**
 * One value, or an object of values by partition key where the declaration may give several.
 * @param load gives a version's value, from wherever it is kept
 * @throws MissingInput that names what must be materialized first
 */
export async function readInput(
  key: string,
  reply: AssetInputReply,
  load: (version: AssetValue) => unknown,
): Promise<ReadInput> {
  const { many, values, missing } = reply;
  const [gone] = missing;
  if (gone !== undefined) {
    const what = gone === '' ? key : `the partition ${gone} of ${key}`;
    const more = missing.length > 1 ? ` (and ${missing.length - 1} more)` : '';
    throw new MissingInput(
      `${what}${more}, which it depends on, has no value yet: materialize it first`,
    );
  }
  const loaded: [string, unknown][] = [];
  for (const version of values) loaded.push([version.partition ?? '', await load(version)]);
  return {
    value: many ? Object.fromEntries(loaded) : (loaded[0]?.[1] ?? null),
    degraded: values.some((version) => version.degraded),
    fallbacks: values.flatMap((version) => version.fallbackOf ?? []),
    of: reply.of ?? {},
    versions: values.flatMap(({ id, dataVersion, partition = null, degraded, environment }) =>
      id === undefined
        ? []
        : [
            {
              assetKey: key,
              partition,
              id,
              dataVersion: dataVersion ?? id,
              ...(degraded ? { degraded } : {}),
              ...(environment === undefined ? {} : { environment }),
            },
          ],
    ),
  };
}

/**
 * Of a run that makes several partitions: its value must have one for each, or be nothing at all.
 * @throws TypeError that names a key which is missing
 */
export function checkRange({ partition }: Assignment, value: unknown): void {
  if (!partition || partition.keys.length < 2 || value === null || value === undefined) return;
  checkedRange(partition.keys, value);
}

/** @throws TypeError that names a key of which the value has none */
export function checkedRange(keys: readonly string[], value: unknown): void {
  const given = typeof value === 'object' && value !== null ? value : {};
  const missing = keys.find((key) => !Object.hasOwn(given, key));
  if (missing === undefined) return;
  throw new TypeError(
    `this run makes ${keys.length} partitions: its code must return an object with a value for each key, and ${JSON.stringify(missing)} is missing`,
  );
}

/** What each partition is made from, of several that were read for at once. */
export function byPartition(
  inputs: readonly ReadInput[],
): ReadonlyMap<string, readonly InputVersion[]> {
  const result = new Map<string, InputVersion[]>();
  const keys = new Set(inputs.flatMap(({ of }) => Object.keys(of)));
  for (const key of keys) {
    result.set(
      key,
      inputs.flatMap(({ versions, of }) =>
        versions.filter(
          ({ partition }) => partition === null || of[key]?.includes(partition) !== false,
        ),
      ),
    );
  }
  return result;
}

/**
 * Runs the code once for all partitions where it handles a range (or there is one at most), else once for each, one
 * after the other.
 * @returns the value, of several partitions an object by key
 */
export async function eachPartition(
  task: RunningTask,
  { described }: Definition,
  run: (key: string | undefined, place: AssignedPartition | undefined) => Promise<unknown>,
): Promise<unknown> {
  const { partition } = task.assignment;
  const keys = partition?.keys ?? [];
  if (keys.length < 2 || described.asset?.partitionRuns === 'range')
    return run(undefined, undefined);
  const definition = described.asset?.partitions ?? null;
  const values: Record<string, unknown> = {};
  for (const key of keys) {
    task.signal.throwIfAborted();
    values[key] = (await run(key, assignedOf(definition, [key]))) ?? null;
  }
  return values;
}
