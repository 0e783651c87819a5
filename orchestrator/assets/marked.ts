/**
 * Assets whose task somebody marks as succeeded by hand: the data is there, he says, so a version is recorded, with his
 * name. Its value is the result that he gives, else what the asset had: of an asset with an IO manager what lies there
 * now. A run that waits for a version of the asset starts, and what is made from it is stale.
 */
import type { AssetOutcome, PartitionOutcome } from '../../domain/agent-protocol.ts';
import { STORED_NOWHERE, type StoredVersion } from '../../domain/asset.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { MarkedVersion } from '../../domain/run-control.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { GraphTask } from '../catalog/graph.ts';
import type { RunInfo } from '../runs/run-info.ts';
import { readAssetKeepers, readServedValue } from '../store/asset.ts';
import type { Tx } from '../store/connection.ts';
import { readPartitionValues } from '../store/partition.ts';
import type { AssetTaskEnd } from './outcome.ts';
import { keysOfTask } from './partitions/of-task.ts';
import { producedValue } from './produced-value.ts';

/** Partitions that an effect names. */
const MAX_NAMED = 100;

/** What a mark means for assets, as it is shown before. */
export function versionsOfMark(
  { partitions }: Pick<RunInfo, 'partitions'>,
  tasks: readonly GraphTask[],
): readonly MarkedVersion[] {
  return tasks.flatMap((task) =>
    assetsOf(task).map((asset) => {
      const keys = keysOfTask(partitions, asset);
      return { asset, partitions: keys?.slice(0, MAX_NAMED) ?? null, count: keys?.length ?? 1 };
    }),
  );
}

function assetsOf(task: GraphTask): readonly string[] {
  // Items of a mapped task make no version each.
  if (task.instance) return [];
  return task.kind === 'asset' ? [task.key] : task.kind === 'task' ? (task.produces ?? []) : [];
}

export interface Mark {
  readonly info: RunInfo;
  readonly tasks: readonly { readonly task: GraphTask; readonly result: unknown }[];
  readonly by: string;
  readonly reason: string | null;
  readonly at: EpochMs;
}

/**
 * Ends of the assets' tasks, to be recorded like any other.
 * @throws SignalboxError `invalid-request` for a result in place of data that an IO manager keeps
 */
export async function endsOfMark(tx: Tx, mark: Mark): Promise<readonly AssetTaskEnd[]> {
  const named = mark.tasks.flatMap(({ task, result }) =>
    assetsOf(task).map((asset) => ({ task, asset, result: markedValue(task, asset, result) })),
  );
  if (named.length === 0) return [];
  const keepers = await readAssetKeepers(
    tx,
    named.map(({ asset }) => asset),
  );
  const ends: AssetTaskEnd[] = [];
  for (const { asset, result } of named) {
    const keeper = keepers.get(asset);
    // What is only looked at is not made by its task.
    if (keeper?.observed) continue;
    const io = keeper?.io ?? null;
    if (io !== null && result !== null) {
      throw new SignalboxError(
        'invalid-request',
        `the values of ${asset} are kept by ${io}: put the data there and mark it without a result`,
      );
    }
    ends.push(await endOf(tx, mark, asset, io, result));
  }
  return ends;
}

function markedValue(task: GraphTask, asset: string, result: unknown): unknown {
  const produces = task.kind === 'asset' ? [asset] : (task.produces ?? []);
  return producedValue(result, asset, produces) ?? null;
}

async function endOf(
  tx: Tx,
  { info, by, reason, at }: Mark,
  asset: string,
  io: string | null,
  result: unknown,
): Promise<AssetTaskEnd> {
  const keys = keysOfTask(info.partitions, asset);
  const had = result !== null ? null : await whatItHas(tx, asset, keys, io);
  const metadata = { markedBy: by, ...(reason === null ? {} : { markedReason: reason }) };
  const outcome: AssetOutcome = { metadata, checks: [], ...had?.outcome };
  const { dataInterval } = info;
  return {
    ...{ assetKey: asset, runId: info.runId, workflow: info.workflow, at, state: 'succeeded' },
    ...{ result: had ? had.value : result, outcome, error: null, partitions: keys },
    ...{ codeVersion: null, marked: true },
    dataInterval: dataInterval && {
      start: Date.parse(dataInterval.start),
      end: Date.parse(dataInterval.end),
    },
  };
}

interface Had {
  readonly value: unknown;
  readonly outcome: { stored?: StoredVersion; partitions?: Record<string, PartitionOutcome> };
}

/** The present value, where it lies, of the whole or of each partition. */
async function whatItHas(
  tx: Tx,
  asset: string,
  keys: readonly string[] | null,
  io: string | null,
): Promise<Had> {
  // Of data that nobody recorded yet the IO manager finds what lies there.
  const there = io === null ? null : { ...STORED_NOWHERE, kind: io };
  if (keys === null) {
    const served = await readServedValue(tx, asset);
    const stored = served?.stored ?? there;
    return { value: stored ? null : (served?.value ?? null), outcome: stored ? { stored } : {} };
  }
  const rows = new Map(
    (await readPartitionValues(tx, asset, keys)).map((row) => [row.partition, row]),
  );
  const values: Record<string, unknown> = {};
  const partitions: Record<string, PartitionOutcome> = {};
  for (const key of keys) {
    const row = rows.get(key);
    const stored = row?.stored ?? there;
    partitions[key] = stored ? { stored } : {};
    values[key] = stored ? null : (row?.value ?? null);
  }
  const [only] = keys;
  const value = keys.length === 1 && only !== undefined ? values[only] : values;
  return { value: value ?? null, outcome: { partitions } };
}
