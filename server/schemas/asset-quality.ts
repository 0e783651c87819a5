/** Checks over time, facts over time, observations, and reports of assets from outside. */
import { Type } from 'typebox';
import { METADATA_TYPES } from '../../domain/asset.ts';
import { AnyObject, Closed, IdempotencyKey, Name, Nullable, OneOf, Time } from './parts.ts';

const Severity = OneOf(['warn', 'error']);
const MAX_CHECKS = 200;

const CheckResult = Type.Object({
  id: Type.String(),
  assetKey: Type.String(),
  check: Type.String(),
  passed: Type.Boolean(),
  severity: Severity,
  blocking: Type.Boolean(),
  at: Time,
  runId: Nullable(Type.String()),
  metadata: AnyObject,
});

const Observation = Type.Object({
  id: Type.String(),
  assetKey: Type.String(),
  at: Nullable(Time),
  recordedAt: Time,
  runId: Nullable(Type.String()),
  dataVersion: Nullable(Type.String()),
  metadata: AnyObject,
});

const MetadataPoint = Type.Object({
  at: Type.String({ format: 'date-time', description: 'event time of the data' }),
  recordedAt: Time,
  source: OneOf(['materialization', 'observation']),
  id: Type.String(),
  runId: Nullable(Type.String()),
  partition: Nullable(Type.String()),
  entry: Type.Object({ type: OneOf(METADATA_TYPES), value: Type.Unknown() }),
});

const report = {
  eventTime: Type.Optional(
    Type.String({ format: 'date-time', description: 'how new the newest data is' }),
  ),
  dataVersion: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
  metadata: Type.Optional(AnyObject),
  checks: Type.Optional(
    Type.Array(
      Closed({
        name: Name,
        passed: Type.Boolean(),
        blocking: Type.Optional(Type.Boolean()),
        severity: Type.Optional(Severity),
        metadata: Type.Optional(AnyObject),
      }),
      { maxItems: MAX_CHECKS },
    ),
  ),
  idempotencyKey: Type.Optional(IdempotencyKey),
};

export const ObservationBody = Closed(report);
export const MaterializationBody = Closed({
  ...report,
  partition: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
});

export const RunChecksBody = Closed({
  check: Type.Optional(Name),
  idempotencyKey: Type.Optional(IdempotencyKey),
});

export const ASSET_QUALITY_SCHEMAS = { CheckResult, Observation, MetadataPoint };
