/**
 * Names of attributes by which telemetry tells the run it belongs to. Those of OpenTelemetry's semantic
 * conventions where they fit; ClickHouse has a column for each of the first four.
 */
export const TELEMETRY = {
  runId: 'cicd.pipeline.run.id',
  taskKey: 'cicd.pipeline.task.name',
  workflow: 'cicd.pipeline.name',
  tenant: 'tenant',
  attempt: 'signalbox.task.attempt',
  agent: 'signalbox.agent.name',
} as const;
