/**
 * What agents define, and so what they are given. A session has a set of names with versions; sets are immutable,
 * stored once, and shared by all sessions that have the same. A task fits where the set has its workflow (of an asset,
 * the asset) in the run's version, or in another one that has the task as well.
 */
import type { GraphTask } from '../catalog/graph.ts';
import { sharedWorkflowsOf } from '../catalog/shared-workflows.ts';
import type { Version } from '../runs/versions.ts';
import type { Tx } from '../store/connection.ts';
import { readDefinitionSet, readTaskKeys } from '../store/definition-set.ts';

/** What claims of these queues learned about tasks that do not fit. */
export interface ClaimMemory {
  /** Until when claims read past what does not fit, from the start. */
  filterUntil: number;
  /** Until when they rest, since reading past it took long. */
  restUntil: number;
  /**
   * What reading past it is thought to take, in milliseconds: in the order of the claim, and by the runs of one's own
   * workflows. The first takes long behind many tasks of others, the second where one has many runs.
   */
  readonly tookMs: { inOrder: number; byRuns: number };
  readonly excluded: Set<string>;
}

/** Name of the code of a task. */
export function codeName(version: Version, task: GraphTask | undefined): string {
  return task && (task.kind === 'asset' || task.kind === 'check') ? task.key : version.workflow;
}

/** Key under which the code of a task is found in its workflow. */
export function codeKey(task: GraphTask): string {
  return task.instance ? task.instance.task : task.key;
}

/** What a session defines. */
export class DefinitionSet {
  /** Row of `definition_set`; null for who is taken to define everything. */
  readonly id: string | null;
  /** Workflows that nobody defines, and whose runs may have tasks of the set's assets. */
  readonly shared: readonly string[];
  readonly #versions: ReadonlyMap<string, string>;
  /** Keys of tasks by workflow, of the set's version; null where that is not stored. */
  readonly #keys = new Map<string, ReadonlySet<string> | null>();
  readonly #memories = new Map<string, ClaimMemory>();

  constructor(id: string | null, versions: ReadonlyMap<string, string>) {
    this.id = id;
    this.#versions = versions;
    this.shared = sharedWorkflowsOf(versions.keys());
  }

  /** Whether a task fits; undefined where another version must be read to tell (`learn`). */
  fits(version: Version, index: number): boolean | undefined {
    if (this.id === null) return true;
    const task = version.tasks[index];
    const name = codeName(version, task);
    const own = this.#versions.get(name);
    if (own === undefined) return false;
    if (own === version.version || task === undefined || name !== version.workflow) return true;
    const keys = this.#keys.get(name);
    return keys === undefined ? undefined : keys === null || keys.has(codeKey(task));
  }

  /** Reads what `fits` needs for this version's workflow. */
  async learn(tx: Tx, { workflow }: Version): Promise<void> {
    const own = this.#versions.get(workflow);
    if (own === undefined || this.#keys.has(workflow)) return;
    const keys = await readTaskKeys(tx, workflow, own);
    this.#keys.set(workflow, keys === undefined ? null : new Set(keys));
  }

  memoryOf(queues: readonly string[]): ClaimMemory {
    const key = queues.join('\n');
    const known = this.#memories.get(key);
    if (known) return known;
    const memory = {
      ...{ filterUntil: 0, restUntil: 0, tookMs: { inOrder: 0, byRuns: 0 } },
      excluded: new Set<string>(),
    };
    this.#memories.set(key, memory);
    return memory;
  }
}

/** Of sessions that were opened before sets were stored. */
export const EVERYTHING = new DefinitionSet(null, new Map());

export interface DefinitionSets {
  /** @param id row of `definition_set`, or null */
  load(tx: Tx, id: string | null): Promise<DefinitionSet>;
}

/** Sets that are kept in mind. */
const MAX_SETS = 2_000;

export function createDefinitionSets(): DefinitionSets {
  const known = new Map<string, DefinitionSet>();
  return {
    async load(tx, id) {
      if (id === null) return EVERYTHING;
      const found = known.get(id);
      if (found) return found;
      const row = await readDefinitionSet(tx, id);
      const { names = [], versions = [] } = row ?? {};
      const byName = new Map(names.map((name, index) => [name, versions[index] ?? '']));
      // Another one may have read it meanwhile.
      const set = known.get(id) ?? new DefinitionSet(id, byName);
      if (known.size >= MAX_SETS) known.clear();
      known.set(id, set);
      return set;
    },
  };
}
