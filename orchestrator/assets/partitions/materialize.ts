/**
 * Making many partitions: a run for each, so many at a time as the asset (or the shared workflow) allows, or one run
 * for all where the code handles a range. With what lies above or below, `plan.ts` says which runs there are; one that
 * others come before is held until they have succeeded.
 */
import { SignalboxError } from '../../../domain/errors.ts';
import type {
  MaterializePlan,
  MaterializeReply,
  PartitionSelection,
  PartitionState,
  RunPartitions,
} from '../../../domain/partition.ts';
import type { CreatedRun, RunRequest } from '../../runs/trigger.ts';
import type { MaterializeOptions } from '../../service.ts';
import { readProducer } from '../../store/asset-task.ts';
import type { Tx } from '../../store/connection.ts';
import { insertHolds } from '../../store/run-overlap.ts';
import { readRunnable } from '../../store/run-workflow.ts';
import { type MaterializeDeps, partitionsOfRun, planWork, type Work } from '../materialize.ts';
import type { Staleness } from '../staleness.ts';
import { OF_WORKFLOW } from './of-task.ts';
import { type Directions, expandKeys, type PlannedRun, planRuns } from './plan.ts';
import { describePlan, withoutTrace } from './plan-shown.ts';
import { assertKeys, inOrder, keysInRange } from './select.ts';
import { refuseMany } from './spread.ts';
import { findPartitioned, type Partitioned, statesOf } from './states.ts';

/** Partitions that one call makes. */
const MAX_PARTITIONS = 10_000;
/** Runs that the answer names. */
const MAX_TOLD = 100;
/** Partitions of all assets that one call makes. */
const MAX_PLANNED = 20_000;

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
  const keys = await selectedKeys(deps, asset, request);
  if (keys.length === 0) return { runs: [], runCount: 0, partitionCount: 0 };
  const created = await deps.db.transaction(async (tx) => {
    const requests = await produced(
      tx,
      asset,
      groupsOf(asset, keys, request),
      request.idempotencyKey,
    );
    if (requests) return deps.createRuns(tx, requests);
    const runs = await planned(tx, deps, asset, keys, request);
    const all = await deps.createRuns(tx, await made(tx, asset, runs, request.idempotencyKey));
    await insertHolds(tx, holdsOf(runs, all), deps.clock.now());
    return all;
  });
  deps.announceRuns(created);
  return {
    runs: created.slice(0, MAX_TOLD).map(({ run }) => run),
    runCount: created.length,
    partitionCount: keys.length,
  };
}

async function selectedKeys(
  deps: MaterializeDeps & { readonly staleness: Staleness },
  asset: Partitioned,
  request: Request,
): Promise<readonly string[]> {
  const keys = await selectKeys(deps, asset, request.partitions);
  if (keys.length <= MAX_PARTITIONS) return keys;
  throw new SignalboxError(
    'invalid-request',
    `${keys.length} partitions at once; at most ${MAX_PARTITIONS}: name a range`,
  );
}

function groupsOf(asset: Partitioned, keys: readonly string[], request: Request) {
  return (request.single ?? asset.range) ? [keys] : keys.map((one) => [one]);
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
    return inOrder(set, selection);
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
  idempotencyKey?: string,
): Promise<readonly RunRequest[] | null> {
  const producer = await readProducer(tx, key);
  if (producer === null) return null;
  const { workflow, versionId, maxActiveRuns } = producer;
  return groups.map((keys) => {
    const { partitions: _, ...of } = partitionsOfRun({ [key]: keys }, definition, key);
    return {
      ...{ workflow, versionId, maxActiveRuns, parameters: {}, trigger: 'asset' },
      ...{ ...of, partitions: { [OF_WORKFLOW]: keys } },
      ...(idempotencyKey === undefined
        ? {}
        : { idempotencyKey: keyOf(idempotencyKey, groups.length, [key], { [key]: keys }) }),
    };
  });
}

/** Runs of these partitions alone, or together with what lies above or below. */
async function planned(
  tx: Tx,
  deps: MaterializeDeps,
  asset: Partitioned,
  keys: readonly string[],
  request: Request,
): Promise<readonly Planned[]> {
  const { downstream = false, upstream = false } = request;
  const scope = { downstream, upstream, skipForeign: false };
  const work = await planWork(tx, [asset.key], scope, deps.clock.now());
  const plan =
    downstream || upstream
      ? planAround(asset, keys, { downstream, upstream }, work, request.single ?? false)
      : groupsOf(asset, keys, request).map((group) => ({
          ...{ assets: [asset.key], partitions: { [asset.key]: group }, after: [] },
        }));
  const versions = new Map<string, Awaited<ReturnType<Work['versionOf']>>>();
  const runs: Planned[] = [];
  for (const run of plan) {
    refuseMany(run.partitions, work.handlesRange);
    const name = run.assets.join('\n');
    const version = versions.get(name) ?? (await work.versionOf(run.assets));
    versions.set(name, version);
    runs.push({ ...run, ...version });
  }
  return runs;
}

interface Planned extends PlannedRun {
  readonly workflow: string;
  readonly versionId: string;
}

function planAround(
  asset: Partitioned,
  keys: readonly string[],
  directions: Directions,
  work: Work,
  single: boolean,
): readonly PlannedRun[] {
  const wanted = expandKeys(asset.key, keys, directions, work, MAX_PLANNED);
  if (wanted === null) {
    throw new SignalboxError(
      'invalid-request',
      `${keys.length} partitions of ${asset.key} lead to more than ${MAX_PLANNED}: name fewer of them`,
    );
  }
  return planRuns(wanted, work, single);
}

/** A run that others come before is held until all of them have succeeded. */
function holdsOf(runs: readonly PlannedRun[], created: readonly CreatedRun[]) {
  return runs.flatMap(({ after }, index) => {
    const own = created[index];
    const [first, ...also] = after.flatMap((place) => created[place]?.run.id ?? []);
    if (!own?.created || first === undefined) return [];
    const { id: runId, workflow } = own.run;
    return [{ runId, workflow, afterRunId: first, also }];
  });
}

async function made(
  tx: Tx,
  asset: Partitioned,
  runs: readonly Planned[],
  idempotencyKey: string | undefined,
): Promise<readonly RunRequest[]> {
  const limits = await readRunnable(tx, [...new Set(runs.map(({ workflow }) => workflow))]);
  return runs.map(({ workflow, versionId, partitions, after, assets }) => ({
    ...{ workflow, versionId, parameters: {}, trigger: 'asset' },
    ...{ maxActiveRuns: limits.get(workflow)?.maxActiveRuns ?? null, hold: after.length > 0 },
    ...placeOf(asset, partitions, assets),
    ...(idempotencyKey === undefined
      ? {}
      : { idempotencyKey: keyOf(idempotencyKey, runs.length, assets, partitions) }),
  }));
}

/** The time of a run is that of the asset which was asked for, where it makes some of it. */
function placeOf(asset: Partitioned, partitions: RunPartitions, assets: readonly string[]) {
  if (assets.includes(asset.key)) return partitionsOfRun(partitions, asset.definition, asset.key);
  return partitionsOfRun(partitions, null, asset.key);
}

/** A key that was used before gives the first runs, each under what it makes first. */
function keyOf(
  key: string,
  runs: number,
  [first = '']: readonly string[],
  partitions: RunPartitions,
): string {
  return runs === 1 ? key : `${key}:${first}:${partitions[first]?.[0] ?? ''}`;
}

/** What would be made. */
export async function planPartitions(
  deps: MaterializeDeps & { readonly staleness: Staleness },
  key: string,
  request: Request,
): Promise<MaterializePlan> {
  const asset = await findPartitioned(deps.db, deps.clock, key);
  const keys = await selectedKeys(deps, asset, request);
  if (keys.length === 0) return describePlan([]);
  return withoutTrace(deps.db, async (tx) => {
    const requests = await produced(tx, asset, groupsOf(asset, keys, request));
    if (requests === null) return describePlan(await planned(tx, deps, asset, keys, request));
    return describePlan(
      requests.map(({ workflow, partitions }) => ({
        ...{ workflow, assets: [key], after: [] },
        partitions: { [key]: partitions?.[OF_WORKFLOW] ?? [] },
      })),
    );
  });
}
