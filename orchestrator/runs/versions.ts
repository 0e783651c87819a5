/**
 * Compiled graphs by version, cached in each server: a version never changes, so nothing ever makes an entry
 * wrong. What completing needs beside the graph (who depends on whom) is computed once.
 */
import type { RunConcurrency } from '../../domain/agent-protocol.ts';
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import { environmentOf, plainName } from '../../domain/environment.ts';
import type { Graph, GraphTask } from '../catalog/graph.ts';
import type { Tx } from '../store/connection.ts';
import type { Expansion } from './expansion.ts';
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
  /** For each task those whose ends decide whether it starts: what it comes after, and what a teardown spans. */
  readonly gates: readonly (readonly number[])[];
  /** Tasks that start with the run. */
  readonly roots: readonly number[];
  /** For each task whose result is a list: the mapped tasks over it. */
  readonly mapsOver: ReadonlyMap<number, readonly number[]>;
  readonly teardowns: readonly number[];
  readonly deadlines: readonly DeadlineDefinition[];
  /** Runs at a time for each key; null for no such limit. */
  readonly concurrency: RunConcurrency | null;
  /** Where among a task's gates one was last found that had not ended; a hint, whatever it says. */
  readonly places: Int32Array;
  /** What became of mapped tasks in a run; none in the workflow's own version. */
  readonly expanded: readonly Expansion[];
  /** The workflow's own version; itself where nothing is expanded. */
  readonly base: Version;
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

function compile(row: {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly graph: Graph;
}): Version {
  const { tasks } = row.graph;
  const gates = tasks.map(({ after, between }) => (between ? [...after, ...between] : after));
  const dependents = tasks.map((): number[] => []);
  const mapsOver = new Map<number, number[]>();
  for (const [index, { map }] of tasks.entries()) {
    for (const upstream of gates[index] ?? []) dependents[upstream]?.push(index);
    if (map) mapsOver.set(map.over, [...(mapsOver.get(map.over) ?? []), index]);
  }
  const leaves = leavesOf(tasks, dependents);
  const version = {
    id: row.id,
    workflow: row.workflow,
    version: row.version,
    ...{ tasks, dependents, gates, mapsOver },
    indexOf: indexOf(row.workflow, tasks),
    last: leaves.length === 1 ? (leaves[0] ?? -1) : -1,
    roots: tasks.flatMap((task, index) => (startsAtOnce(task) ? [index] : [])),
    deadlines: row.graph.deadlines ?? [],
    concurrency: row.graph.concurrency ?? null,
    teardowns: tasks.flatMap(({ teardown }, index) => (teardown ? [index] : [])),
    places: new Int32Array(tasks.length),
    expanded: [],
  };
  return withItself(version);
}

/** Of an environment tasks that make assets are found by their plain keys as well. */
function indexOf(workflow: string, tasks: readonly GraphTask[]): ReadonlyMap<string, number> {
  const own = tasks.map(({ key }, index) => [key, index] as const);
  if (environmentOf(workflow) === null) return new Map(own);
  return new Map([...own.map(([key, index]) => [plainName(key), index] as const), ...own]);
}

function withItself(version: Omit<Version, 'base'>): Version {
  const whole: Version = {
    ...version,
    get base() {
      return whole;
    },
  };
  return whole;
}

function startsAtOnce({ after, triggerRule, map }: GraphTask): boolean {
  return after.length === 0 || (triggerRule === 'always' && !map);
}

/** Tasks that nothing comes after but what tidies up. */
function leavesOf(
  tasks: readonly GraphTask[],
  dependents: readonly (readonly number[])[],
): readonly number[] {
  return tasks.flatMap(({ teardown }, index) =>
    !teardown && (dependents[index] ?? []).every((dependent) => tasks[dependent]?.teardown)
      ? [index]
      : [],
  );
}
