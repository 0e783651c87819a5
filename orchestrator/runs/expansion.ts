/**
 * Mapped tasks: a graph whose tasks are known, and lists whose length is known only when they are there. The instances
 * of a mapped task are further indexes behind the graph's own, so that all that speaks of tasks by index (live rows,
 * the log, events) needs to know nothing of them. A version with its instances stands for the graph of one run.
 */
import { isInlineBytes, isResultReference } from '../../domain/result.ts';
import type { GraphTask } from '../catalog/graph.ts';
import type { Version } from './versions.ts';

/**
 * What became of a mapped task: its index, the index of its first instance, how many there are, and a number that
 * tells this reading of the list from another. Where the list could not be used, `first` is −1 and `count` its
 * length, or −1 where it was no list.
 */
export type Expansion = readonly [task: number, first: number, count: number, stamp: number];

/** Which item of which list an instance works on. */
export interface Instance {
  /** Index of the mapped task. */
  readonly of: number;
  readonly task: string;
  /** Key of the task whose result is the list. */
  readonly over: string;
  readonly index: number;
  readonly stamp: number;
}

/** Tasks of graphs that are kept of one version: most runs of a workflow map over lists of few lengths. */
const MAX_KEPT_TASKS = 100_000;
const shapes = new WeakMap<Version, Map<string, Version>>();
const NONE: readonly number[] = [];

/** Key of an instance. */
function instanceKey(task: string, index: number): string {
  return `${task}[${index}]`;
}

/** The version with the instances of its mapped tasks. */
export function expandVersion(version: Version, expanded: readonly Expansion[] | null): Version {
  const { base } = version;
  if (expanded === null || expanded.length === 0) return base;
  const shape = JSON.stringify(expanded);
  const known = shapes.get(base) ?? new Map<string, Version>();
  shapes.set(base, known);
  const found = known.get(shape);
  if (found) return found;
  const made = expand(base, expanded);
  let kept = made.tasks.length;
  for (const { tasks } of known.values()) kept += tasks.length;
  for (const [oldest, { tasks }] of known) {
    if (kept <= MAX_KEPT_TASKS) break;
    known.delete(oldest);
    kept -= tasks.length;
  }
  known.set(shape, made);
  return made;
}

function expand(base: Version, expanded: readonly Expansion[]): Version {
  const tasks = [...base.tasks];
  const indexOf = new Map(base.indexOf);
  for (const [task, first, count, stamp] of expanded) {
    const mapped = base.tasks[task];
    const over = base.tasks[mapped?.map?.over ?? -1];
    if (!mapped || !over || first < 0) continue;
    const { map: _, ...plain } = mapped;
    // What stood here for a list of another length stays, under no key.
    while (tasks.length < first) tasks.push({ ...plain, key: '', after: NONE });
    for (let index = 0; index < count; index += 1) {
      const key = instanceKey(mapped.key, index);
      const instance = { of: task, task: mapped.key, over: over.key, index, stamp };
      tasks[first + index] = { ...plain, key, instance };
      indexOf.set(key, first + index);
    }
  }
  const further = new Array<readonly number[]>(tasks.length - base.tasks.length).fill(NONE);
  return {
    ...base,
    tasks,
    indexOf,
    expanded,
    dependents: [...base.dependents, ...further],
    gates: [...base.gates, ...further],
  };
}

/** What became of this mapped task; undefined where its list is not there yet. */
export function expansionOf(version: Version, task: number): Expansion | undefined {
  return version.expanded.find(([mapped]) => mapped === task);
}

/** Indexes that stand for tasks: the graph's own, each followed by its instances as the list is now. */
export function shownTasks(
  version: Version,
): readonly (readonly [index: number, task: GraphTask])[] {
  return [...version.base.tasks.entries()].flatMap(([index, task]) => {
    const [, first, count] = expansionOf(version, index) ?? [index, -1, 0];
    const instances = first < 0 ? [] : version.tasks.slice(first, first + count);
    const indexed = instances.map((instance, at) => [first + at, instance] as const);
    return [[index, task] as const, ...indexed];
  });
}

/** How many items a result is to a mapped task over it; −1 where it is no list. */
export function countItems(result: unknown): number {
  if (Array.isArray(result)) return result.length;
  // A large list lies elsewhere; whoever put it there has counted.
  if (isResultReference(result)) return result.items ?? -1;
  if (isInlineBytes(result)) return -1;
  return typeof result === 'object' && result !== null ? Object.keys(result).length : -1;
}
