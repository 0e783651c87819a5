/**
 * Tasks of a workflow as they are written down, one after the other, in groups within groups; names are resolved once
 * all are there, so that a task may come after one that stands further below.
 */
import type { TaskDefinition } from '../../domain/agent-protocol.ts';
import type { DeadlineDefinition } from '../../domain/deadline.ts';
import type { TriggerRule } from '../../domain/trigger-rule.ts';
import { TRIGGER_RULES } from '../../domain/trigger-rule.ts';
import type { DeclaredCallback } from './callback.ts';
import type { GroupRef, TaskRef } from './context.ts';
import type { Handler } from './definition.ts';
import { findTaskCycle } from './graph.ts';
import { DefinitionError, flag, oneOf, optional, type Read } from './options.ts';
import type { RetryRule } from './retry-rule.ts';

/** Tasks that come before: tasks, groups (all that nothing in them comes after), or keys of either. */
export type Before = TaskRef | GroupRef | string;

/** How a task stands in its graph. */
export interface PlaceOptions {
  /** Tasks that come before. */
  readonly after?: readonly Before[];
  /** When it starts, given how those before it ended; `all-succeeded` unless told. */
  readonly triggerRule?: TriggerRule;
  /** Whether its failure leaves the run as good as it was. */
  readonly allowFailure?: boolean;
  /**
   * Whether in a scheduled run it waits until it has succeeded (or was skipped) in the scheduled run of the logical
   * date before; looked at each second. Each item of a mapped task waits for the item of the same index; one that was
   * not in the list then waits for nothing.
   */
  readonly dependsOnPast?: boolean;
  /** As `dependsOnPast`, and it waits until the tasks directly after it have succeeded there too. */
  readonly waitForDownstream?: boolean;
  /** Whether it sets up something that a teardown tidies up. */
  readonly setup?: boolean;
  /**
   * It tidies up: it runs once its setup has succeeded and everything between is over, also when that failed or the
   * run was cancelled. `true` takes the setups before it; without `after` it waits for all that comes after them.
   */
  readonly teardown?: true | readonly (TaskRef | string)[];
  /** Whether the run fails when this teardown fails. */
  readonly failRun?: boolean;
}

type KeyOrGroup = { readonly key: string } | { readonly group: string };

interface ReadPlace {
  readonly after: readonly KeyOrGroup[];
  readonly triggerRule: TriggerRule | null;
  readonly allowFailure: boolean;
  readonly dependsOnPast: boolean;
  readonly waitForDownstream: boolean;
  readonly setup: boolean;
  readonly teardown: true | readonly KeyOrGroup[] | null;
  readonly failRun: boolean;
}

const before: Read<readonly KeyOrGroup[]> = (value) => {
  const list: readonly unknown[] =
    value === undefined ? [] : Array.isArray(value) ? value : [value];
  return list.map(refOf);
};

export const placeReaders: { readonly [K in keyof ReadPlace]: Read<ReadPlace[K]> } = {
  after: before,
  triggerRule: optional(oneOf(...TRIGGER_RULES)),
  allowFailure: flag(false),
  dependsOnPast: flag(false),
  waitForDownstream: flag(false),
  setup: flag(false),
  teardown: (value) => {
    if (value === undefined || value === null || value === false) return null;
    return value === true ? true : before(value);
  },
  failRun: flag(false),
};

function refOf(one: unknown): KeyOrGroup {
  if (typeof one === 'string') return { key: one };
  if (typeof one === 'object' && one !== null) {
    if ('key' in one && typeof one.key === 'string') return { key: one.key };
    if ('group' in one && typeof one.group === 'string') return { group: one.group };
  }
  throw new DefinitionError('must hold tasks, groups, or their keys');
}

/** A task as it was written down. */
export interface WrittenTask {
  /** With the names of its groups before it. */
  readonly key: string;
  /** The group that it stands in; empty for none. */
  readonly scope: string;
  readonly place: ReadPlace;
  readonly definition: TaskDefinition;
  readonly over?: KeyOrGroup;
  readonly handler: Handler;
  readonly retryRule: RetryRule | undefined;
  readonly deadlines: readonly DeadlineDefinition[];
  readonly callbacks: readonly DeclaredCallback[];
}

interface Group {
  readonly name: string;
  /** The group around it. */
  readonly scope: string;
  readonly after: readonly KeyOrGroup[];
}

export class TaskGraph {
  readonly #tasks = new Map<string, WrittenTask>();
  readonly #groups = new Map<string, Group>();
  readonly #leaves = new Map<string, readonly string[] | 'looking'>();

  add(task: WrittenTask): void {
    this.#checkFree(task.key);
    this.#tasks.set(task.key, task);
  }

  addGroup(name: string, scope: string, after: unknown): void {
    this.#checkFree(name);
    this.#groups.set(name, { name, scope, after: before(after) });
  }

  #checkFree(key: string): void {
    if (this.#tasks.has(key)) throw new DefinitionError('there are two tasks of this key');
    if (this.#groups.has(key)) throw new DefinitionError('there is a group of this name');
  }

  get handlers(): ReadonlyMap<string, Handler> {
    return new Map([...this.#tasks].map(([key, { handler }]) => [key, handler]));
  }

  get retryRules(): ReadonlyMap<string, RetryRule> {
    return new Map(
      [...this.#tasks].flatMap(([key, { retryRule }]) => (retryRule ? [[key, retryRule]] : [])),
    );
  }

  get deadlines(): readonly DeadlineDefinition[] {
    return [...this.#tasks.values()].flatMap(({ deadlines }) => deadlines);
  }

  get callbacks(): readonly DeclaredCallback[] {
    return [...this.#tasks.values()].flatMap(({ callbacks }) => callbacks);
  }

  /** Keys of the tasks that a branch in this group means; what is unknown stays as it is. */
  chosen(scope: string, value: unknown): readonly string[] {
    if (value === undefined || value === null || value === false) return [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const keys = list.map(refOf).flatMap((ref) => {
      const name = this.#find(scope, ref);
      if (name === undefined) return ['key' in ref ? ref.key : ref.group];
      return this.#groups.has(name) ? this.#rootsOf(name) : [name];
    });
    return [...new Set(keys)];
  }

  /** @throws DefinitionError that names what is unknown, contradicts itself, or waits in a circle */
  definitions(): readonly TaskDefinition[] {
    const afters = new Map(
      [...this.#tasks.values()].map((task) => [task.key, this.#afterOf(task)]),
    );
    const tasks = [...this.#tasks.values()].map((task) => this.#resolve(task, afters));
    checkGraph(tasks);
    return tasks;
  }

  #resolve(task: WrittenTask, afters: ReadonlyMap<string, readonly string[]>): TaskDefinition {
    const { place, over, scope, key } = task;
    const [list] = over === undefined ? [] : this.#keysOf(scope, over, key);
    const after = [...(afters.get(key) ?? []), ...(list === undefined ? [] : [list])];
    const { map } = task.definition;
    const dependsOnPast = place.dependsOnPast || place.waitForDownstream;
    return {
      ...task.definition,
      after: [...new Set(after)],
      ...(place.triggerRule === null ? {} : { triggerRule: place.triggerRule }),
      ...(place.allowFailure ? { allowFailure: true } : {}),
      ...(dependsOnPast ? { dependsOnPast } : {}),
      ...(place.waitForDownstream ? { waitForDownstream: true } : {}),
      ...(place.setup ? { setup: true } : {}),
      ...this.#teardownOf(task, afters),
      ...(map && list !== undefined ? { map: { ...map, over: list } } : {}),
    };
  }

  #teardownOf(
    { key, scope, place, over }: WrittenTask,
    afters: ReadonlyMap<string, readonly string[]>,
  ): Pick<TaskDefinition, 'teardown'> {
    const { teardown, failRun } = place;
    if (teardown === null) {
      if (failRun)
        throw new DefinitionError(`task ${JSON.stringify(key)}: failRun is for teardowns`);
      return {};
    }
    if (place.triggerRule !== null || place.setup || over) {
      const what = over ? 'a list' : place.setup ? 'a setup' : 'its own trigger rule';
      throw new DefinitionError(`task ${JSON.stringify(key)}: a teardown cannot have ${what}`);
    }
    const setups =
      teardown === true
        ? this.#setupsBefore(key, afters)
        : teardown.flatMap((ref) => this.#keysOf(scope, ref, key));
    return { teardown: { setups, failRun } };
  }

  #setupsBefore(key: string, afters: ReadonlyMap<string, readonly string[]>): readonly string[] {
    const seen = new Set<string>();
    const left = [key];
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      for (const upstream of afters.get(one) ?? []) {
        if (seen.has(upstream)) continue;
        seen.add(upstream);
        left.push(upstream);
      }
    }
    return [...seen].filter((one) => this.#tasks.get(one)?.place.setup).sort();
  }

  /** What a task comes after: what it names, and, for the first of a group, what the group names. */
  #afterOf({ key, scope, place }: WrittenTask): readonly string[] {
    const own = place.after.flatMap((ref) => this.#keysOf(scope, ref, key));
    const keys = [...own];
    for (let name = scope; name !== ''; name = this.#groups.get(name)?.scope ?? '') {
      if (keys.some((one) => one.startsWith(`${name}.`))) break;
      const group = this.#groups.get(name);
      for (const ref of group?.after ?? [])
        keys.push(...this.#keysOf(group?.scope ?? '', ref, key));
    }
    return [...new Set(keys)];
  }

  /** The name in the nearest group that has it. */
  #find(scope: string, ref: KeyOrGroup): string | undefined {
    if ('group' in ref) return this.#groups.has(ref.group) ? ref.group : undefined;
    for (let name = scope; ; name = this.#groups.get(name)?.scope ?? '') {
      const full = name === '' ? ref.key : `${name}.${ref.key}`;
      if (this.#tasks.has(full) || this.#groups.has(full)) return full;
      if (name === '') return undefined;
    }
  }

  #keysOf(scope: string, ref: KeyOrGroup, of: string): readonly string[] {
    const name = this.#find(scope, ref);
    if (name === undefined) {
      const shown = JSON.stringify('key' in ref ? ref.key : ref.group);
      throw new DefinitionError(
        `task ${JSON.stringify(of)} comes after ${shown}, which is not a task of it`,
      );
    }
    return this.#groups.has(name) ? this.#leavesOf(name) : [name];
  }

  #membersOf(group: string): readonly WrittenTask[] {
    return [...this.#tasks.values()].filter(({ key }) => key.startsWith(`${group}.`));
  }

  /** Tasks of a group that no other task of it comes after; what tidies up is left to itself. */
  #leavesOf(group: string): readonly string[] {
    const known = this.#leaves.get(group);
    if (known === 'looking') {
      throw new DefinitionError(`the group ${group} comes after itself, in a circle`);
    }
    if (known) return known;
    this.#leaves.set(group, 'looking');
    const members = this.#membersOf(group).filter(({ place }) => place.teardown === null);
    if (members.length === 0) throw new DefinitionError(`the group ${group} has no tasks`);
    const inner = new Set(members.flatMap((task) => this.#upstreamOf(task)));
    const leaves = members.map(({ key }) => key).filter((key) => !inner.has(key));
    this.#leaves.set(group, leaves);
    return leaves;
  }

  #rootsOf(group: string): readonly string[] {
    const isRoot = (task: WrittenTask) =>
      this.#upstreamOf(task).every((key) => !key.startsWith(`${group}.`));
    return this.#membersOf(group)
      .filter(isRoot)
      .map(({ key }) => key);
  }

  #upstreamOf(task: WrittenTask): readonly string[] {
    const { over, scope, key } = task;
    return [...this.#afterOf(task), ...(over ? this.#keysOf(scope, over, key) : [])];
  }
}

const INSTANCE = /^(.*)\[\d+\]$/;

function checkGraph(tasks: readonly TaskDefinition[]): void {
  if (tasks.length === 0) throw new DefinitionError('it has no tasks');
  const mapped = new Set(tasks.flatMap(({ key, map }) => (map ? [key] : [])));
  for (const { key } of tasks) {
    const [, of] = INSTANCE.exec(key) ?? [];
    if (of !== undefined && mapped.has(of)) {
      throw new DefinitionError(`task ${JSON.stringify(key)}: this is the key of an item of ${of}`);
    }
  }
  const cycle = findTaskCycle(tasks);
  if (cycle !== null) {
    throw new DefinitionError(`tasks wait for each other in a circle: ${cycle.join(' → ')}`);
  }
}
