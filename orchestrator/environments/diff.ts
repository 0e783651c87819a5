/** What the code of a branch defines beside production's, and which of production's assets lie below what changed. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import {
  type DefinitionDiff,
  type EnvironmentDiff,
  PRODUCTION,
  qualify,
} from '../../domain/environment.ts';
import { canonicalJson } from '../../domain/run.ts';
import type { WorkflowSchedule } from '../../domain/schedule.ts';
import { compileGraph } from '../catalog/graph.ts';
import type { AssetService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import {
  type ProductionDefinition,
  type RegisteredDefinition,
  readEnvironmentDefinitions,
  readProductionDefinitions,
} from '../store/environment.ts';
import { readCode } from '../store/workflow-code.ts';

/** Changed assets whose downstream is followed. */
const MAX_FOLLOWED = 500;
const MAX_TASKS_NAMED = 5;

export function createDiff(deps: { readonly db: Db; readonly assets: AssetService }) {
  const { db, assets } = deps;
  return async (environment: string): Promise<EnvironmentDiff> => {
    const [own, base] = await Promise.all([
      readEnvironmentDefinitions(db, environment),
      readProductionDefinitions(db),
    ]);
    const definitions = compare(own, base, await changedTasks(db, environment, own));
    const changed = new Set(definitions.map(({ name }) => name));
    return {
      ...{ environment, base: PRODUCTION, definitions },
      unchanged: own.filter(({ name }) => !changed.has(name)).length,
      affected: await below(assets, rootsOf(definitions, own)),
    };
  };
}

/** Tasks by workflow whose code is another one, though they are described alike. */
type ChangedTasks = ReadonlyMap<string, readonly string[]>;

async function changedTasks(
  db: Db,
  environment: string,
  own: readonly RegisteredDefinition[],
): Promise<ChangedTasks> {
  const names = own.map(({ name }) => name);
  const code = await readCode(
    db,
    names.flatMap((name) => [name, qualify(environment, name)]),
  );
  return new Map(
    names.map((name) => {
      const before = code.get(name) ?? {};
      const now = code.get(qualify(environment, name)) ?? {};
      // A task that only one of them has is told as added or removed.
      const tasks = Object.keys(now).filter((task) => (before[task] ?? now[task]) !== now[task]);
      return [name, tasks];
    }),
  );
}

function compare(
  own: readonly RegisteredDefinition[],
  base: readonly ProductionDefinition[],
  code: ChangedTasks,
): readonly DefinitionDiff[] {
  // Callbacks are told with what they are of.
  const shown = own.filter(({ definition }) => definition.callbacksOf === undefined);
  const before = new Map(base.map((one) => [one.name, one]));
  const names = new Set(shown.map(({ name }) => name));
  const found = shown.flatMap((one): DefinitionDiff[] => {
    const old = before.get(one.name);
    if (old === undefined) return [added(one)];
    const tasks = code.get(one.name) ?? [];
    return old.version === one.version && tasks.length === 0 ? [] : [changedOne(one, old, tasks)];
  });
  const removed = base.filter(({ name }) => !names.has(name)).map(removedOne);
  return [...found, ...removed].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function kindOf({ kind, sensor, check }: WorkflowDefinition): DefinitionDiff['kind'] {
  if (sensor) return 'sensor';
  return check ? 'check' : kind;
}

function added({ name, definition }: RegisteredDefinition): DefinitionDiff {
  const { schedule, owners } = definition;
  return {
    ...{ name, kind: kindOf(definition), change: 'added', what: [], owners },
    schedule: schedule ? { before: null, after: cronOf(schedule) } : null,
  };
}

function removedOne({ name, kind, schedule, owners }: ProductionDefinition): DefinitionDiff {
  return {
    ...{ name, kind, change: 'removed', what: [], owners },
    schedule: schedule ? { before: cronOf(schedule as WorkflowSchedule), after: null } : null,
  };
}

function changedOne(
  { name, definition }: RegisteredDefinition,
  old: ProductionDefinition,
  tasks: readonly string[],
) {
  const rescheduled = !same(old.schedule, definition.schedule);
  const what = [
    ...(rescheduled ? ['schedule'] : []),
    ...(same(old.parameters, definition.parameters) ? [] : ['parameters']),
    ...(old.queue === definition.queue ? [] : ['queue']),
    ...(same(old.owners, definition.owners) ? [] : ['owners']),
    ...tasksThatDiffer(definition, old),
    ...codeThatDiffers(definition, tasks),
  ];
  return {
    ...{ name, kind: kindOf(definition), change: 'changed' as const, owners: old.owners },
    what: what.length === 0 ? ['options'] : [...new Set(what)],
    schedule: rescheduled
      ? {
          before: cronOf(old.schedule as WorkflowSchedule | null),
          after: cronOf(definition.schedule),
        }
      : null,
  } satisfies DefinitionDiff;
}

function tasksThatDiffer(
  definition: WorkflowDefinition,
  old: ProductionDefinition,
): readonly string[] {
  if (old.graph === null) return [];
  const before = new Map(old.graph.tasks.map((task) => [task.key, task]));
  const after = compileGraph(definition).tasks;
  if (definition.kind !== 'workflow') {
    const [task] = after;
    return task && same(before.get(task.key), task) ? [] : ['code'];
  }
  const keys = new Set(after.map(({ key }) => key));
  const changes = [
    ...after.flatMap((task) => {
      const was = before.get(task.key);
      if (was === undefined) return [`+${task.key}`];
      return same(was, task) ? [] : [`~${task.key}`];
    }),
    ...[...before.keys()].filter((key) => !keys.has(key)).map((key) => `-${key}`),
  ];
  if (changes.length === 0) return [];
  return [`tasks ${named(changes)}`];
}

function codeThatDiffers(
  { kind }: WorkflowDefinition,
  tasks: readonly string[],
): readonly string[] {
  if (tasks.length === 0) return [];
  return [kind === 'workflow' ? `code of ${named(tasks)}` : 'code'];
}

function named(words: readonly string[]): string {
  const more = words.length - MAX_TASKS_NAMED;
  return `${words.slice(0, MAX_TASKS_NAMED).join(' ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

function cronOf(schedule: WorkflowSchedule | null): string | null {
  if (schedule === null) return null;
  return `${schedule.cron} ${schedule.timezone}`;
}

/** Assets of production that the change may reach: changed and removed ones, and what changed workflows make. */
function rootsOf(
  definitions: readonly DefinitionDiff[],
  own: readonly RegisteredDefinition[],
): readonly string[] {
  const byName = new Map(own.map((one) => [one.name, one.definition]));
  const roots = definitions.flatMap(({ name, kind, change }) => {
    if (change === 'added') return [];
    if (kind === 'asset') return [name];
    return byName.get(name)?.tasks.flatMap(({ produces = [] }) => produces) ?? [];
  });
  return [...new Set(roots)].slice(0, MAX_FOLLOWED);
}

async function below(
  assets: AssetService,
  roots: readonly string[],
): Promise<EnvironmentDiff['affected']> {
  type Affected = EnvironmentDiff['affected'][number];
  const found = new Map<string, Affected>();
  for (const root of roots) {
    const impact = await assets.impact(root, null).catch(() => null);
    for (const { key, depth, critical, owners } of impact?.assets ?? []) {
      const known = found.get(key);
      found.set(key, {
        ...{ key, critical, owners, depth: Math.min(depth, known?.depth ?? depth) },
        below: [...(known?.below ?? []), root],
      });
    }
  }
  const changed = new Set(roots);
  return [...found.values()]
    .filter(({ key }) => !changed.has(key))
    .sort((a, b) => a.depth - b.depth || (a.key < b.key ? -1 : 1));
}
