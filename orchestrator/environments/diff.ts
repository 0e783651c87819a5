/** What the code of a branch defines beside production's, and which of production's assets lie below what changed. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { type DefinitionDiff, type EnvironmentDiff, PRODUCTION } from '../../domain/environment.ts';
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
    const definitions = compare(own, base);
    const changed = new Set(definitions.map(({ name }) => name));
    return {
      ...{ environment, base: PRODUCTION, definitions },
      unchanged: own.filter(({ name }) => !changed.has(name)).length,
      affected: await below(assets, rootsOf(definitions, own)),
    };
  };
}

function compare(
  own: readonly RegisteredDefinition[],
  base: readonly ProductionDefinition[],
): readonly DefinitionDiff[] {
  // Callbacks are told with what they are of.
  const shown = own.filter(({ definition }) => definition.callbacksOf === undefined);
  const before = new Map(base.map((one) => [one.name, one]));
  const names = new Set(shown.map(({ name }) => name));
  const found = shown.flatMap((one): DefinitionDiff[] => {
    const old = before.get(one.name);
    if (old === undefined) return [added(one)];
    return old.version === one.version ? [] : [changedOne(one, old)];
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

function changedOne({ name, definition }: RegisteredDefinition, old: ProductionDefinition) {
  const rescheduled = !same(old.schedule, definition.schedule);
  const what = [
    ...(rescheduled ? ['schedule'] : []),
    ...(same(old.parameters, definition.parameters) ? [] : ['parameters']),
    ...(old.queue === definition.queue ? [] : ['queue']),
    ...(same(old.owners, definition.owners) ? [] : ['owners']),
    ...tasksThatDiffer(definition, old),
  ];
  return {
    ...{ name, kind: kindOf(definition), change: 'changed' as const, owners: old.owners },
    what: what.length === 0 ? ['options'] : what,
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
  const more = changes.length - MAX_TASKS_NAMED;
  const named = changes.slice(0, MAX_TASKS_NAMED).join(' ');
  return [`tasks ${named}${more > 0 ? ` and ${more} more` : ''}`];
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
