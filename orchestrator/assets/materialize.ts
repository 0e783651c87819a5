/**
 * Materializing assets: one run whose graph has a task for each of them, in dependency order. One asset alone is
 * a run of its own workflow; several are a run of the workflow `assets`, with a version for each distinct set, so
 * that the same set is compiled once.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { Run, RunTrigger } from '../../domain/run.ts';
import type { Clock } from '../../domain/time.ts';
import { findCycle, type Graph } from '../catalog/graph.ts';
import { ASSETS_WORKFLOW, hashOf } from '../catalog/register.ts';
import type { AnnounceRuns, CreateRuns } from '../runs/trigger.ts';
import { readAssetTasks } from '../store/asset.ts';
import type { Db, Tx } from '../store/connection.ts';
import { readBelow, readEdgesAmong } from '../store/lineage.ts';
import { ensureSystemWorkflow, ensureVersion, findVersion } from '../store/workflow.ts';
import { dependenciesAmong, type Edge, inDependencyOrder } from './order.ts';

/** Levels that are followed downstream; more would be a circle. */
const MAX_DEPTH = 100;
const MAX_ASSETS = 10_000;

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
  /** Leaves out keys that are made elsewhere, as long as one is made here. */
  readonly skipForeign: boolean;
  readonly idempotencyKey: string | null;
  readonly trigger: RunTrigger;
}

/**
 * @throws SignalboxError `not-found` for an asset nobody knows, `conflict` for one that is not made here or
 * for assets that depend on each other in a circle
 */
export async function materialize(
  deps: MaterializeDeps,
  request: MaterializeRequest,
): Promise<Run> {
  const keys = [...new Set(request.keys)];
  if (keys.length === 0) throw new SignalboxError('invalid-request', 'no asset is named');
  const created = await deps.db.transaction(async (tx) => {
    const work = await planWork(tx, keys, request, new Date(deps.clock.now()));
    return deps.createRuns(tx, [
      {
        ...work,
        maxActiveRuns: null,
        // None that name the assets: to make the same ones again is no duplicate.
        parameters: {},
        trigger: request.trigger,
        idempotencyKey: request.idempotencyKey,
      },
    ]);
  });
  deps.announceRuns(created);
  const [first] = created;
  if (!first) throw new Error('a run was asked for and none was made');
  return first.run;
}

async function planWork(
  tx: Tx,
  keys: readonly string[],
  { downstream, skipForeign }: MaterializeRequest,
  now: Date,
): Promise<{ workflow: string; versionId: string }> {
  const below = await readBelow(tx, keys, MAX_DEPTH);
  const tasks = await readAssetTasks(tx, below);
  const made = new Map(tasks.flatMap(({ key, task }) => (task ? [[key, task] as const] : [])));
  const known = new Set(tasks.map(({ key }) => key));
  const unknown = keys.find((key) => !known.has(key));
  if (unknown !== undefined) throw new SignalboxError('not-found', `asset ${unknown}`);
  const foreign = keys.filter((key) => !made.has(key));
  if (foreign.length > 0 && (!skipForeign || foreign.length === keys.length)) {
    throw new SignalboxError('conflict', `${foreign[0]} is made elsewhere; no code here makes it`);
  }
  const chosen = (downstream ? below : keys).filter((key) => made.has(key));
  const [only] = chosen;
  if (chosen.length === 1 && only !== undefined) {
    const version = await findVersion(tx, only);
    if (version !== undefined) return { workflow: only, versionId: version };
  }
  if (chosen.length > MAX_ASSETS) {
    throw new SignalboxError('invalid-request', `more than ${MAX_ASSETS} assets at once`);
  }
  const graph = linkAssets(chosen, made, await readEdgesAmong(tx, below));
  const version = { workflow: ASSETS_WORKFLOW, version: hashOf(graph), graph };
  const versionId = await ensureVersion(tx, version, now);
  const description = 'Materializes several assets in dependency order';
  await ensureSystemWorkflow(tx, { name: ASSETS_WORKFLOW, description, versionId }, now);
  return { workflow: ASSETS_WORKFLOW, versionId };
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
