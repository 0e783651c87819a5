/** Registration of sensors: they come among the definitions of workflows, and are none. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import type { SensorDefinition } from '../../domain/sensor.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { Db } from '../store/connection.ts';
import { readSensorVersions, type SensorRecord, upsertSensors } from '../store/sensor.ts';

/** The definitions that are workflows. */
export function withoutSensors(
  definitions: readonly WorkflowDefinition[],
): readonly WorkflowDefinition[] {
  const isPlain = ({ sensor }: WorkflowDefinition) => sensor === undefined;
  return definitions.every(isPlain) ? definitions : definitions.filter(isPlain);
}

/**
 * Stores the sensors among the definitions.
 * @param isName whether a name is one that can be stored
 * @param versionOf hash of what a definition says
 * @returns names of those that are new or have changed
 */
export async function registerSensors(
  db: Db,
  definitions: readonly WorkflowDefinition[],
  on: {
    isName(name: string): boolean;
    versionOf(definition: WorkflowDefinition): string;
    tell(file: string, message: string): void;
  },
  now: EpochMs,
): Promise<readonly string[]> {
  const workflows = withoutSensors(definitions);
  if (workflows.length === definitions.length) return [];
  const records = new Map<string, SensorRecord>();
  for (const definition of definitions) {
    const { sensor, name, file } = definition;
    if (sensor === undefined || !on.isName(name)) continue;
    const clash = records.get(name) ?? workflows.find((one) => one.name === name);
    if (clash && clash.file !== file) on.tell(file, `${name} is defined in ${clash.file} too`);
    else records.set(name, recordOf(definition, sensor, on.versionOf(definition)));
  }
  const known = await readSensorVersions(db, [...records.keys()]);
  const changed = [...records.values()].filter(({ name, version, file }) => {
    const before = known.get(name);
    return before?.version !== version || before.file !== file;
  });
  if (changed.length > 0) await upsertSensors(db, changed, new Date(now));
  return changed.map(({ name }) => name);
}

function recordOf(
  definition: WorkflowDefinition,
  sensor: SensorDefinition,
  version: string,
): SensorRecord {
  return {
    name: definition.name,
    file: definition.file,
    description: definition.description ?? null,
    queue: definition.queue,
    version,
    triggers: sensor.triggers,
    every_ms: sensor.everyMs,
    timeout_ms: sensor.timeoutMs,
    has_code: sensor.hasCode,
    starts_paused: definition.startsPaused === true,
  };
}
