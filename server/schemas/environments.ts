/** Environments of branches as the API takes and gives them. */
import { Type } from 'typebox';
import { AnyObject, Closed, Duration, Nullable, OneOf, Time } from './parts.ts';

const Settings = {
  schedules: Type.Boolean(),
  triggers: Type.Boolean(),
  sensors: Type.Boolean(),
  callbacks: Type.Boolean(),
  fallback: Type.Boolean(),
  sharedPools: Type.Boolean(),
};

const Environment = Type.Object({
  name: Type.String(),
  base: Type.String(),
  state: OneOf(['active', 'deleting']),
  createdBy: Type.String(),
  createdAt: Time,
  lastSeenAt: Time,
  expiresAt: Nullable(Time),
  labels: AnyObject,
  settings: Type.Object(Settings),
  workflows: Type.Integer(),
  assets: Type.Integer(),
  agents: Type.Integer(),
  activeRuns: Type.Integer(),
});

const EnvironmentDiff = Type.Object({
  environment: Type.String(),
  base: Type.String(),
  definitions: Type.Array(
    Type.Object({
      name: Type.String(),
      kind: OneOf(['workflow', 'flow', 'asset', 'sensor', 'check']),
      change: OneOf(['added', 'removed', 'changed']),
      what: Type.Array(Type.String()),
      schedule: Nullable(
        Type.Object({ before: Nullable(Type.String()), after: Nullable(Type.String()) }),
      ),
      owners: Type.Array(Type.String()),
    }),
  ),
  unchanged: Type.Integer(),
  affected: Type.Array(
    Type.Object({
      key: Type.String(),
      depth: Type.Integer(),
      critical: Type.Boolean(),
      owners: Type.Array(Type.String()),
      below: Type.Array(Type.String()),
    }),
  ),
});

export const EnvironmentName = Type.String({ minLength: 1, maxLength: 100 });

export const EnvironmentBody = Closed({
  name: EnvironmentName,
  expiresAfter: Type.Optional(Nullable(Duration)),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  settings: Type.Optional(Closed(Type.Partial(Type.Object(Settings)).properties)),
});

export const ENVIRONMENT_SCHEMAS = { Environment, EnvironmentDiff };
