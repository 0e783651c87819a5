/**
 * Names of an environment, put in front of what its agents register. What is local to a definition (tasks of a
 * workflow, columns, parameters) stays as it is.
 */
import type {
  AssetDefinition,
  RegisterRequest,
  TaskDefinition,
  WorkflowDefinition,
} from '../../domain/agent-protocol.ts';
import type { AutomationCondition } from '../../domain/automation.ts';
import { type EnvironmentSettings, qualify } from '../../domain/environment.ts';
import type { OnCondition } from '../../domain/origin.ts';
import type { PartitionsDefinition } from '../../domain/partition.ts';

export interface QualifyingEnvironment {
  readonly name: string;
  readonly settings: EnvironmentSettings;
}

/** What an agent of an environment registers, as it is stored. */
export function qualifyRegistration(
  environment: QualifyingEnvironment,
  request: RegisterRequest,
): RegisterRequest {
  const name = (plain: string) => qualify(environment.name, plain);
  return {
    ...request,
    name: name(request.name),
    queues: request.queues.map(name),
    definitions: request.definitions.map((one) => qualifyDefinition(environment, one)),
    fileErrors: request.fileErrors.map((error) => ({ ...error, file: name(error.file) })),
  };
}

function qualifyDefinition(
  environment: QualifyingEnvironment,
  definition: WorkflowDefinition,
): WorkflowDefinition {
  const { settings } = environment;
  const name = (plain: string) => qualify(environment.name, plain);
  const { on, sensor, check, callbacks, callbacksOf, concurrency, deadlines } = definition;
  const ofTask = hookIn(name, definition);
  const waits =
    (definition.schedule !== null && !settings.schedules) ||
    (on !== undefined && !settings.triggers) ||
    (sensor !== undefined && !settings.sensors);
  return {
    ...definition,
    name: name(definition.name),
    file: name(definition.file),
    queue: name(definition.queue),
    tasks: definition.tasks.map((task) => qualifyTask(environment, definition, task)),
    asset: definition.asset && qualifyAsset(environment, definition.asset),
    ...(on ? { on: { ...on, conditions: on.conditions.map(conditionIn(name)) } } : {}),
    ...(sensor
      ? { sensor: { ...sensor, triggers: sensor.triggers === null ? null : name(sensor.triggers) } }
      : {}),
    ...(check ? { check: { ...check, asset: name(check.asset) } } : {}),
    ...(callbacksOf === undefined ? {} : { callbacksOf: name(callbacksOf) }),
    ...(callbacks === undefined
      ? {}
      : { callbacks: settings.callbacks ? callbacks.map(ofTask) : [] }),
    ...(deadlines === undefined ? {} : { deadlines: deadlines.map(ofTask) }),
    ...(concurrency?.scope === 'global'
      ? { concurrency: { ...concurrency, key: name(concurrency.key) } }
      : {}),
    ...(waits ? { startsPaused: true } : {}),
  };
}

function conditionIn(name: (plain: string) => string) {
  return (condition: OnCondition): OnCondition =>
    condition.kind === 'run'
      ? { ...condition, workflow: name(condition.workflow) }
      : { ...condition, asset: name(condition.asset) };
}

/** The one task of an asset is called as the asset. */
function taskKeyIn(name: (plain: string) => string, { kind }: WorkflowDefinition, key: string) {
  return kind === 'asset' ? name(key) : key;
}

/** A callback or a deadline, which may be of a task. */
function hookIn(name: (plain: string) => string, definition: WorkflowDefinition) {
  return <T extends { readonly task?: string }>(hook: T): T =>
    hook.task === undefined ? hook : { ...hook, task: taskKeyIn(name, definition, hook.task) };
}

function qualifyTask(
  { name: environment, settings }: QualifyingEnvironment,
  definition: WorkflowDefinition,
  task: TaskDefinition,
): TaskDefinition {
  const name = (plain: string) => qualify(environment, plain);
  const { pool, queue, produces, consumes, concurrency } = task;
  return {
    ...task,
    key: taskKeyIn(name, definition, task.key),
    pool: pool === null || settings.sharedPools ? pool : name(pool),
    ...(queue === undefined ? {} : { queue: name(queue) }),
    ...(produces === undefined ? {} : { produces: produces.map(name) }),
    ...(consumes === undefined ? {} : { consumes: consumes.map(name) }),
    ...(concurrency?.scope === 'global'
      ? { concurrency: { ...concurrency, key: name(concurrency.key) } }
      : {}),
  };
}

function qualifyAsset(
  { name: environment, settings }: QualifyingEnvironment,
  { automation, ...asset }: AssetDefinition,
): AssetDefinition {
  const name = (plain: string) => qualify(environment, plain);
  const { partitions, mappings } = asset;
  return {
    ...asset,
    ...(automation && settings.triggers
      ? {
          automation: {
            ...automation,
            condition: qualifyCondition(name, automation.condition),
          },
        }
      : {}),
    key: name(asset.key),
    dependsOn: asset.dependsOn.map(name),
    ...(partitions ? { partitions: qualifyPartitions(environment, partitions) } : {}),
    ...(mappings
      ? {
          mappings: Object.fromEntries(
            Object.entries(mappings).map(([key, mapping]) => [name(key), mapping]),
          ),
        }
      : {}),
  };
}

/** Conditions name upstreams, wherever in them. */
function qualifyCondition(
  name: (plain: string) => string,
  condition: AutomationCondition,
): AutomationCondition {
  const within = (value: unknown, key: string | null): unknown => {
    if (Array.isArray(value)) return value.map((one) => within(one, key));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([of, one]) => [of, within(one, of)]));
    }
    return typeof value === 'string' && (key === 'only' || key === 'ignore') ? name(value) : value;
  };
  return within(condition, null) as AutomationCondition;
}

function qualifyPartitions(
  environment: string,
  partitions: PartitionsDefinition,
): PartitionsDefinition {
  if (partitions.kind === 'dynamic') {
    return { ...partitions, name: qualify(environment, partitions.name) };
  }
  if (partitions.kind !== 'multi') return partitions;
  return {
    ...partitions,
    dimensions: partitions.dimensions.map((dimension) => ({
      ...dimension,
      partitions: qualifyPartitions(
        environment,
        dimension.partitions,
      ) as typeof dimension.partitions,
    })),
  };
}

/** Names of lists of dynamic partitions that definitions use, as the code tells them. */
export function dynamicListsOf(definitions: readonly WorkflowDefinition[]): readonly string[] {
  const found = new Set<string>();
  const look = (partitions: PartitionsDefinition | null | undefined): void => {
    if (partitions?.kind === 'dynamic') found.add(partitions.name);
    if (partitions?.kind !== 'multi') return;
    for (const dimension of partitions.dimensions) look(dimension.partitions);
  };
  for (const { asset } of definitions) look(asset?.partitions);
  return [...found];
}
