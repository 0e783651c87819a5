/** Registers the named schemas, which stand in the OpenAPI document under `components`. */
import { Type } from 'typebox';
import { ERRORS, type ErrorCode } from '../../domain/errors.ts';
import type { App } from '../http/app-type.ts';
import { ACCESS_SCHEMAS } from './access.ts';
import { ARTIFACT_SCHEMAS } from './artifacts.ts';
import { ASSET_QUALITY_SCHEMAS } from './asset-quality.ts';
import { ASSET_SCHEMAS } from './assets.ts';
import { AUTOMATION_SCHEMAS } from './automation.ts';
import { BACKFILL_SCHEMAS } from './backfills.ts';
import { DEADLINE_SCHEMAS } from './deadlines.ts';
import { ENVIRONMENT_SCHEMAS } from './environments.ts';
import { INCIDENT_SCHEMAS } from './incidents.ts';
import { PARTITION_SCHEMAS } from './partitions.ts';
import { OneOf } from './parts.ts';
import { RETENTION_SCHEMAS } from './retention.ts';
import { RUN_CONTROL_SCHEMAS } from './run-control.ts';
import { RUN_SCHEMAS } from './runs.ts';
import { SCHEDULE_SCHEMAS } from './schedules.ts';
import { SENSOR_SCHEMAS } from './sensors.ts';
import { SIGNAL_SCHEMAS } from './signals.ts';

const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: OneOf(Object.keys(ERRORS) as ErrorCode[]),
  detail: Type.Optional(Type.String()),
  advice: Type.String(),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
});

export function addSchemas(app: App): void {
  const all = {
    Problem,
    ...ACCESS_SCHEMAS,
    ...RUN_SCHEMAS,
    ...RUN_CONTROL_SCHEMAS,
    ...SCHEDULE_SCHEMAS,
    ...BACKFILL_SCHEMAS,
    ...SIGNAL_SCHEMAS,
    ...SENSOR_SCHEMAS,
    ...DEADLINE_SCHEMAS,
    ...ASSET_SCHEMAS,
    ...ARTIFACT_SCHEMAS,
    ...ASSET_QUALITY_SCHEMAS,
    ...AUTOMATION_SCHEMAS,
    ...PARTITION_SCHEMAS,
    ...INCIDENT_SCHEMAS,
    ...ENVIRONMENT_SCHEMAS,
    ...RETENTION_SCHEMAS,
  };
  for (const [name, schema] of Object.entries(all)) app.addSchema({ ...schema, $id: name });
  const problem = {
    description: 'What is wrong, and what to do',
    content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
  };
  app.addHook('onRoute', (route) => {
    if (!route.schema || route.schema.hide) return;
    const response = (route.schema.response ?? {}) as Record<string, unknown>;
    route.schema.response = { ...response, '4xx': problem, '5xx': problem };
    if (route.config?.role !== 'open') route.schema.security ??= [{ token: [] }];
  });
}
