/**
 * Compiled graphs by version, cached in each server: a version never changes, so nothing ever makes an entry
 * wrong. What completing needs beside the graph (who depends on whom) is computed once.
 */
import type { Graph, GraphTask } from '../catalog/graph.ts';
import type { Tx } from '../store/connection.ts';
import { createRecent } from './recent.ts';

/** A version of a workflow, ready to run. */
export interface Version {
  readonly id: string;
  readonly workflow: string;
  /** The user's name for it, as an agent tells it. */
  readonly version: string;
  readonly tasks: readonly GraphTask[];
  /** For each task the tasks that come after it. */
  readonly dependents: readonly (readonly number[])[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** The one task that nothing comes after, whose result is the run's; −1 where there are several. */
  readonly last: number;
}

export interface Versions {
  get(id: string): Version | undefined;
  /** Reads those that are not cached. */
  load(tx: Tx, ids: Iterable<string>): Promise<void>;
}

/** Enough for every workflow that runs at one time; what falls out is read again. */
const MAX_CACHED_TASKS = 2_000_000;

const SELECT_VERSIONS = `
  SELECT id, workflow, version, graph FROM signalbox.workflow_version WHERE id = ANY($1::bigint[])`;

/** Makes a cache for one database. */
export function createVersions(): Versions {
  const cache = createRecent<string, Version>(MAX_CACHED_TASKS, (version) => version.tasks.length);
  return {
    get: (id) => cache.get(id),
    async load(tx, ids) {
      const missing = [...new Set(ids)].filter((id) => cache.get(id) === undefined);
      if (missing.length === 0) return;
      const rows = await tx.query<{ id: string; workflow: string; version: string; graph: Graph }>(
        SELECT_VERSIONS,
        [missing],
      );
      for (const row of rows) cache.set(row.id, compile(row));
    },
  };
}

function compile(row: { id: string; workflow: string; version: string; graph: Graph }): Version {
  const { tasks } = row.graph;
  const dependents = tasks.map((): number[] => []);
  for (const [index, task] of tasks.entries()) {
    for (const upstream of task.after) dependents[upstream]?.push(index);
  }
  const leaves = dependents.flatMap((after, index) => (after.length === 0 ? [index] : []));
  return {
    id: row.id,
    workflow: row.workflow,
    version: row.version,
    tasks,
    dependents,
    indexOf: new Map(tasks.map((task, index) => [task.key, index])),
    last: leaves.length === 1 ? (leaves[0] ?? -1) : -1,
  };
}
