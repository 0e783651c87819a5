/**
 * Materializing assets: one run whose graph has a task for each of them, in dependency order. One asset alone is
 * a run of its own workflow; several are a run of the workflow `assets`, with a version for each distinct set, so
 * that the same set is compiled once.
 */
import { environmentOf, plainName, qualify } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type {
  MaterializePlan,
  PartitionsDefinition,
  RunPartitions,
} from '../../domain/partition.ts';
import type { Run, RunTrigger } from '../../domain/run.ts';
import { ASSETS_WORKFLOW, PARTITIONS_WORKFLOW } from '../../domain/shared-workflow.ts';
import type { Clock, EpochMs } from '../../domain/time.ts';
import { findCycle, type Graph } from '../catalog/graph.ts';
import { hashOf } from '../catalog/register.ts';
import type { AnnounceRuns, CreateRuns, RunRequest } from '../runs/trigger.ts';
import { readAssetTasks } from '../store/asset.ts';
import { type Producer, readProducer } from '../store/asset-task.ts';
import type { Db, Tx } from '../store/connection.ts';
import { readDynamicKeys } from '../store/dynamic-partition.ts';
import { readAbove, readBelow, readEdgesAmong } from '../store/lineage.ts';
import { ensureSystemWorkflow, ensureVersion, findVersion } from '../store/workflow.ts';
import { dependenciesAmong, type Edge, inDependencyOrder } from './order.ts';
import { intervalOf } from './partitions/of-task.ts';
import { dynamicNamesOf } from './partitions/partition-set.ts';
import { describePlan, withoutTrace } from './partitions/plan-shown.ts';
import { newestOf, refuseMany, type Spreading, spreadPartitions } from './partitions/spread.ts';

/** Levels that are followed downstream; more would be a circle. */
const MAX_DEPTH = 100;
const MAX_ASSETS = 10_000;
/** So many runs that make partitions of several assets at a time. */
const PARTITION_RUNS_AT_A_TIME = 16;

export interface MaterializeDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
}

export interface MaterializeRequest {
  readonly keys: readonly string[];
  /** With all that lies downstream and is made here. */
  readonly downstream: boolean;
  /** With all that lies upstream and is made here. */
  readonly upstream?: boolean;
  /** Leaves out keys that are made elsewhere, as long as one is made here. */
  readonly skipForeign: boolean;
  readonly idempotencyKey: string | null;
  readonly trigger: RunTrigger;
}

/**
 * One run that makes these assets. A partitioned one makes its newest partition.
 * @throws SignalboxError `not-found` for an asset nobody knows, `conflict` for one that is not made here, for
 * assets that depend on each other in a circle, and for one of which no partition should be there yet
 */
export async function materialize(
  deps: MaterializeDeps,
  request: MaterializeRequest,
): Promise<Run> {
  const keys = [...new Set(request.keys)];
  if (keys.length === 0) throw new SignalboxError('invalid-request', 'no asset is named');
  const created = await deps.db.transaction(async (tx) => {
    const now = deps.clock.now();
    const producer = await findProducer(tx, keys);
    if (producer) return deps.createRuns(tx, [ofProducer(producer, request)]);
    const work = await planWork(tx, keys, request, now);
    const partitions = spreadPartitions(newestGiven(keys, work), work);
    refuseMany(partitions, work.handlesRange);
    return deps.createRuns(tx, [
      {
        ...(await work.versionOf(work.assets)),
        maxActiveRuns: null,
        // None that name the assets: to make the same ones again is no duplicate.
        parameters: {},
        trigger: request.trigger,
        idempotencyKey: request.idempotencyKey,
        ...partitionsOfRun(partitions, work.definitions.get(keys[0] ?? '') ?? null, keys[0] ?? ''),
      },
    ]);
  });
  deps.announceRuns(created);
  const [first] = created;
  if (!first) throw new Error('a run was asked for and none was made');
  return first.run;
}

/**
 * What `materialize` would make.
 * @throws SignalboxError as it does
 */
export async function planMaterialize(
  deps: MaterializeDeps,
  key: string,
  request: Pick<MaterializeRequest, 'downstream' | 'upstream'>,
): Promise<MaterializePlan> {
  return withoutTrace(deps.db, async (tx) => {
    const producer = await findProducer(tx, [key]);
    if (producer) {
      return describePlan([
        { workflow: producer.workflow, assets: [key], partitions: {}, after: [] },
      ]);
    }
    const scope = { ...request, skipForeign: false };
    const work = await planWork(tx, [key], scope, deps.clock.now());
    const partitions = spreadPartitions(newestGiven([key], work), work);
    refuseMany(partitions, work.handlesRange);
    const { workflow } = await work.versionOf(work.assets);
    const assets = inDependencyOrder(work.assets, work.edges);
    return describePlan([{ workflow, assets, partitions, after: [] }]);
  });
}

/** The newest partition of each key that was asked for. */
function newestGiven(keys: readonly string[], work: Work): Record<string, readonly string[]> {
  const given: Record<string, readonly string[]> = {};
  for (const key of keys) {
    const definition = work.definitions.get(key) ?? null;
    if (definition === null) continue;
    const newest = newestOf(definition, work.moment);
    if (newest === null) {
      throw new SignalboxError('conflict', `no partition of ${key} should be there yet`);
    }
    given[key] = [newest];
  }
  return given;
}

/** What a run request says of partitions: the data interval is that of the asset which was asked for. */
export function partitionsOfRun(
  partitions: RunPartitions,
  definition: PartitionsDefinition | null,
  key: string,
): Pick<RunRequest, 'partitions' | 'dataInterval' | 'logicalDate'> {
  if (Object.keys(partitions).length === 0) return {};
  const dataInterval = definition && intervalOf(definition, partitions[key] ?? []);
  return {
    partitions,
    ...(dataInterval === null ? {} : { dataInterval, logicalDate: Date.parse(dataInterval.start) }),
  };
}

/** A task of a workflow that makes the one asset which was asked for, and which no code of its own makes. */
async function findProducer(tx: Tx, keys: readonly string[]): Promise<Producer | null> {
  const [only] = keys;
  return only === undefined || keys.length > 1 ? null : readProducer(tx, only);
}

function ofProducer(producer: Producer, request: MaterializeRequest): RunRequest {
  const { workflow, versionId, maxActiveRuns } = producer;
  return {
    ...{ workflow, versionId, maxActiveRuns, parameters: {}, trigger: request.trigger },
    idempotencyKey: request.idempotencyKey,
  };
}

/** Assets that one run makes. */
export interface Work extends Spreading {
  /** All of them, in no order. */
  readonly assets: readonly string[];
  handlesRange(asset: string): boolean;
  /** The workflow and version whose runs make some of them. */
  versionOf(assets: readonly string[]): Promise<{ workflow: string; versionId: string }>;
}

export async function planWork(
  tx: Tx,
  keys: readonly string[],
  {
    downstream,
    upstream = false,
    skipForeign,
  }: Omit<MaterializeRequest, 'keys' | 'trigger' | 'idempotencyKey'>,
  now: EpochMs,
): Promise<Work> {
  const below = await readBelow(tx, keys, MAX_DEPTH);
  const above = upstream ? await readAbove(tx, keys, MAX_DEPTH) : [];
  const all = [...new Set([...above, ...below])];
  const tasks = await readAssetTasks(tx, all);
  const made = new Map(tasks.flatMap(({ key, task }) => (task ? [[key, task] as const] : [])));
  const known = new Map(tasks.map((task) => [task.key, task]));
  const unknown = keys.find((key) => !known.has(key));
  if (unknown !== undefined) throw new SignalboxError('not-found', `asset ${unknown}`);
  const foreign = keys.filter((key) => !made.has(key));
  if (foreign.length > 0 && (!skipForeign || foreign.length === keys.length)) {
    throw new SignalboxError('conflict', `${foreign[0]} is made elsewhere; no code here makes it`);
  }
  const wanted = new Set([...keys, ...above, ...(downstream ? below : [])]);
  const chosen = all.filter((key) => wanted.has(key) && made.has(key));
  if (chosen.length > MAX_ASSETS) {
    throw new SignalboxError('invalid-request', `more than ${MAX_ASSETS} assets at once`);
  }
  const edges = await readEdgesAmong(tx, all);
  const definitions = new Map(chosen.map((key) => [key, known.get(key)?.partitions ?? null]));
  const names = [...definitions.values()].flatMap(dynamicNamesOf);
  return {
    assets: chosen,
    ...{ definitions, edges: edges.filter((edge) => edge.origin !== 'openlineage') },
    moment: { now, dynamic: await readDynamicKeys(tx, names) },
    handlesRange: (asset: string) => known.get(asset)?.partition_runs === 'range',
    async versionOf(assets) {
      const [only] = assets;
      const own = assets.length === 1 && only !== undefined && (await findVersion(tx, only));
      if (own) return { workflow: only, versionId: own };
      const graph = linkAssets(assets, made, edges);
      const partitioned = assets.some((asset) => definitions.get(asset));
      const shared = partitioned ? PARTITIONS_WORKFLOW : ASSETS_WORKFLOW;
      return ensureShared(tx, qualify(environmentOf(only ?? ''), shared), graph, now);
    },
  };
}

async function ensureShared(tx: Tx, workflow: string, graph: Graph, now: EpochMs) {
  const at = new Date(now);
  const versionId = await ensureVersion(tx, { workflow, version: hashOf(graph), graph }, at);
  const description = 'Materializes several assets in dependency order';
  const maxActiveRuns =
    plainName(workflow) === PARTITIONS_WORKFLOW ? PARTITION_RUNS_AT_A_TIME : null;
  await ensureSystemWorkflow(tx, { name: workflow, description, versionId, maxActiveRuns }, at);
  return { workflow, versionId };
}

/** Where lineage from outside makes a circle of what code orders well, code is right. */
function linkAssets(
  chosen: readonly string[],
  tasks: ReadonlyMap<string, Graph['tasks'][number]>,
  edges: readonly (Edge & { origin: string })[],
): Graph {
  const graph = linkBy(chosen, tasks, edges);
  if (findCycle(graph) === null) return graph;
  const byCode = linkBy(
    chosen,
    tasks,
    edges.filter((edge) => edge.origin === 'code'),
  );
  const looped = findCycle(byCode);
  if (looped === null) return byCode;
  throw new SignalboxError('conflict', `${looped} depends on itself in a circle`);
}

function linkBy(
  chosen: readonly string[],
  tasks: ReadonlyMap<string, Graph['tasks'][number]>,
  edges: readonly Edge[],
): Graph {
  const among = dependenciesAmong(chosen, edges);
  const links = [...among].flatMap(([downstream, above]) =>
    above.map((upstream) => ({ upstream, downstream })),
  );
  const ordered = inDependencyOrder(chosen, links);
  const indexes = new Map(ordered.map((key, index) => [key, index]));
  return {
    tasks: ordered.flatMap((key) => {
      const task = tasks.get(key);
      const after = (among.get(key) ?? []).flatMap((upstream) => indexes.get(upstream) ?? []);
      return task ? [{ ...task, after: after.sort((a, b) => a - b) }] : [];
    }),
  };
}
