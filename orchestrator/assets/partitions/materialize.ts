/**
 * Making many partitions: a run for each, so many at a time as the asset (or the shared workflow) allows, or one run
 * for all where the code handles a range. With what lies below, a partition that several of them lead to (the month
 * of many days) is made by the last run that leads to it.
 */
import { SignalboxError } from '../../../domain/errors.ts';
import type {
  MaterializeReply,
  PartitionSelection,
  PartitionState,
  RunPartitions,
} from '../../../domain/partition.ts';
import type { RunRequest } from '../../runs/trigger.ts';
import type { MaterializeOptions } from '../../service.ts';
import { readProducer } from '../../store/asset-task.ts';
import type { Tx } from '../../store/connection.ts';
import { readRunnable } from '../../store/run-workflow.ts';
import { type MaterializeDeps, partitionsOfRun, planWork, type Work } from '../materialize.ts';
import type { Staleness } from '../staleness.ts';
import { OF_WORKFLOW } from './of-task.ts';
import { assertKeys, keysInRange } from './select.ts';
import { refuseMany, spreadPartitions } from './spread.ts';
import { findPartitioned, type Partitioned, statesOf } from './states.ts';

/** Partitions that one call makes. */
const MAX_PARTITIONS = 10_000;
/** Runs that the answer names. */
const MAX_TOLD = 100;

interface Request extends MaterializeOptions {
  readonly partitions: PartitionSelection;
  /** One run for all; unless told, where the code handles a range. */
  readonly single?: boolean;
}

/** @throws SignalboxError `not-found`, `conflict`, `invalid-request` for partitions that there are not */
export async function materializePartitions(
  deps: MaterializeDeps & { readonly staleness: Staleness },
  key: string,
  request: Request,
): Promise<MaterializeReply> {
  const asset = await findPartitioned(deps.db, deps.clock, key);
  const keys = await selectKeys(deps, asset, request.partitions);
  if (keys.length > MAX_PARTITIONS) {
    throw new SignalboxError(
      'invalid-request',
      `${keys.length} partitions at once; at most ${MAX_PARTITIONS}: name a range`,
    );
  }
  if (keys.length === 0) return { runs: [], runCount: 0, partitionCount: 0 };
  const single = request.single ?? asset.range;
  const groups = single ? [keys] : keys.map((one) => [one]);
  const created = await deps.db.transaction(async (tx) => {
    const requests =
      (await produced(tx, asset, groups)) ?? (await made(tx, deps, asset, groups, request));
    return deps.createRuns(tx, withKeys(requests, groups, request.idempotencyKey));
  });
  deps.announceRuns(created);
  return {
    runs: created.slice(0, MAX_TOLD).map(({ run }) => run),
    runCount: created.length,
    partitionCount: keys.length,
  };
}

/** A key that was used before gives the first runs, each under its partition. */
function withKeys(
  requests: readonly RunRequest[],
  groups: readonly (readonly string[])[],
  key: string | undefined,
): readonly RunRequest[] {
  if (key === undefined) return requests;
  return requests.map((request, index) => ({
    ...request,
    idempotencyKey: groups.length === 1 ? key : `${key}:${groups[index]?.[0]}`,
  }));
}

/** Keys in the order in which they are made, the oldest first. */
async function selectKeys(
  deps: MaterializeDeps & { readonly staleness: Staleness },
  asset: Partitioned,
  selection: PartitionSelection,
): Promise<readonly string[]> {
  const { set, definition } = asset;
  if (typeof selection !== 'string' && !('length' in selection)) {
    const { low, high } = keysInRange(definition, set, selection);
    return Array.from({ length: Math.max(0, high - low + 1) }, (_, index) => set.at(low + index));
  }
  if (typeof selection !== 'string') {
    assertKeys(asset.key, set, selection);
    const places = new Map(selection.map((key) => [key, set.indexOf(key) ?? 0]));
    return [...places.keys()].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  }
  const all = Array.from({ length: set.size }, (_, index) => set.at(index));
  if (selection === 'all') return all;
  if (selection === 'latest') return all.slice(-1);
  const states = await statesOf(deps.db, deps.staleness, asset);
  const wanted: readonly PartitionState[] =
    selection === 'stale' ? ['stale', 'degraded'] : [selection];
  return all.filter((key) => wanted.includes(states.get(key) ?? 'missing'));
}

/** Runs of the workflow whose task makes the asset; null where the asset has code of its own. */
async function produced(
  tx: Tx,
  { key, definition }: Partitioned,
  groups: readonly (readonly string[])[],
): Promise<readonly RunRequest[] | null> {
  const producer = await readProducer(tx, key);
  if (producer === null) return null;
  const { workflow, versionId, maxActiveRuns } = producer;
  return groups.map((keys) => {
    const { partitions: _, ...of } = partitionsOfRun({ [key]: keys }, definition, key);
    return {
      ...{ workflow, versionId, maxActiveRuns, parameters: {}, trigger: 'asset' },
      ...{ ...of, partitions: { [OF_WORKFLOW]: keys } },
    };
  });
}

async function made(
  tx: Tx,
  deps: MaterializeDeps,
  asset: Partitioned,
  groups: readonly (readonly string[])[],
  { downstream = false, upstream = false }: Request,
): Promise<readonly RunRequest[]> {
  if (upstream && groups.length > 1) {
    throw new SignalboxError(
      'invalid-request',
      'with what lies upstream, name one partition: those of several would be made twice or too late',
    );
  }
  const scope = { downstream, upstream, skipForeign: false };
  const work = await planWork(tx, [asset.key], scope, deps.clock.now());
  const spread = groups.map((keys) => spreadPartitions({ [asset.key]: keys }, work));
  const versions = new Map<string, Awaited<ReturnType<Work['versionOf']>>>();
  const requests: RunRequest[] = [];
  for (const { assets, partitions } of leaveToLast(spread, asset.key, work)) {
    refuseMany(partitions, work.handlesRange);
    const name = assets.join('\n');
    const version = versions.get(name) ?? (await work.versionOf(assets));
    versions.set(name, version);
    requests.push({
      ...version,
      ...{ maxActiveRuns: null, parameters: {}, trigger: 'asset' },
      ...partitionsOfRun(partitions, asset.definition, asset.key),
    });
  }
  const limits = await readRunnable(tx, [...new Set(requests.map(({ workflow }) => workflow))]);
  return requests.map((run) => ({
    ...run,
    maxActiveRuns: limits.get(run.workflow)?.maxActiveRuns ?? null,
  }));
}

/** Takes from each run what a later run makes as well. */
function leaveToLast(
  runs: readonly RunPartitions[],
  root: string,
  { assets, definitions }: Work,
): readonly { readonly assets: readonly string[]; readonly partitions: RunPartitions }[] {
  const later = new Set<string>();
  const takes = (asset: string, key: string) => {
    const name = `${asset}\n${key}`;
    if (asset !== root && later.has(name)) return false;
    later.add(name);
    return true;
  };
  return runs
    .toReversed()
    .map((partitions) => {
      const kept = Object.fromEntries(
        Object.entries(partitions).map(([asset, keys]) => [
          asset,
          keys.filter((key) => takes(asset, key)),
        ]),
      );
      const left = assets.filter((asset) =>
        definitions.get(asset) ? (kept[asset]?.length ?? 0) > 0 : takes(asset, ''),
      );
      return {
        assets: left,
        partitions: Object.fromEntries(Object.entries(kept).filter(([, keys]) => keys.length > 0)),
      };
    })
    .toReversed();
}
