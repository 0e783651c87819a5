/** Which assets, and which of their partitions, unfinished runs are making: what a run has ended of it counts no more. */
import { keysOfTask } from '../assets/partitions/of-task.ts';
import { sharedWorkflowsOf } from '../catalog/shared-workflows.ts';
import { LIVE } from '../dispatch/task-codes.ts';
import { timeOf } from '../retention/id-range.ts';
import type { Version, Versions } from '../runs/versions.ts';
import { readLiveFacts, readRunVersions } from '../store/automation-facts.ts';
import type { Tx } from '../store/connection.ts';
import type { UnderWay } from './facts.ts';

export interface Busy {
  /** The oldest run that makes any of it. */
  readonly whole: UnderWay;
  /** By partition; empty where it is one whole. */
  readonly partitions: ReadonlyMap<string, UnderWay>;
}

/**
 * @param producers workflows whose tasks make an asset, by asset
 * @returns by asset; those that no run makes are missing
 */
export async function readUnderWay(
  tx: Tx,
  versions: Versions,
  keys: ReadonlySet<string>,
  producers: ReadonlyMap<string, readonly string[]>,
): Promise<ReadonlyMap<string, Busy>> {
  const rows = await readLiveFacts(tx, workflowsOf(keys, producers));
  await versions.load(
    tx,
    rows.map(([, versionId]) => versionId),
  );
  const busy = new Map<string, { whole: UnderWay; partitions: Map<string, UnderWay> }>();
  for (const [runId, versionId, tasks, partitions] of rows) {
    const version = versions.get(versionId);
    if (!version) continue;
    const underWay = { runId, since: timeOf(runId) };
    for (const [index, asset] of assetsIn(version)) {
      if (!keys.has(asset) || (tasks[index] ?? 0) > LIVE) continue;
      const known = busy.get(asset) ?? { whole: underWay, partitions: new Map() };
      busy.set(asset, known);
      for (const partition of keysOfTask(partitions, asset) ?? []) {
        known.partitions.set(partition, underWay);
      }
    }
  }
  return busy;
}

/** Assets that tasks of a version make, with the task's place. */
function assetsIn(version: Version): readonly (readonly [number, string])[] {
  const known = made.get(version);
  if (known) return known;
  const found = version.tasks.flatMap(({ key, kind, produces = [] }, index) =>
    [...(kind === 'asset' ? [key] : []), ...produces].map((asset) => [index, asset] as const),
  );
  made.set(version, found);
  return found;
}

const made = new WeakMap<Version, readonly (readonly [number, string])[]>();

function workflowsOf(
  keys: ReadonlySet<string>,
  producers: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const names = [...keys].flatMap((key) => [key, ...(producers.get(key) ?? [])]);
  return [...new Set([...names, ...sharedWorkflowsOf(keys)])];
}

/** Assets that runs were to make, of those that are asked for. */
export async function readAssetsOfRuns(
  tx: Tx,
  versions: Versions,
  runIds: readonly string[],
  keys: ReadonlySet<string>,
  producers: ReadonlyMap<string, readonly string[]>,
): Promise<readonly string[]> {
  if (runIds.length === 0) return [];
  const rows = await readRunVersions(tx, runIds, workflowsOf(keys, producers));
  await versions.load(
    tx,
    rows.map(([versionId]) => versionId),
  );
  return rows.flatMap(([versionId]) => {
    const version = versions.get(versionId);
    return version ? assetsIn(version).flatMap(([, key]) => (keys.has(key) ? [key] : [])) : [];
  });
}
