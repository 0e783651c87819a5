/** Partitions of assets, what they are made from, and impact, as the API gives them. */
import { Type } from 'typebox';
import {
  PARTITION_STATES,
  type PartitionSelection,
  type PartitionsDefinition,
  type MaterializeReply as Reply,
  STALE_REASONS,
} from '../../domain/partition.ts';
import type { Run } from '../../domain/run.ts';
import { AnyObject, Closed, Nullable, OneOf, pageFields, Time } from './parts.ts';

const MAX_KEY = 600;
const MAX_KEYS = 10_000;

export const PartitionKey = Type.String({ minLength: 1, maxLength: MAX_KEY });
const Interval = Type.Object({ start: Time, end: Time });

export const StaleCause = Type.Object({
  reason: OneOf(STALE_REASONS),
  upstream: Nullable(Type.String()),
  partition: Nullable(Type.String()),
  detail: Type.String(),
});

export const InputVersion = Type.Object({
  assetKey: Type.String(),
  partition: Nullable(Type.String()),
  id: Type.String({ description: 'of the materialization' }),
  dataVersion: Type.String(),
  degraded: Type.Optional(Type.Boolean()),
});

export const PartitionsOfAsset = Type.Object({
  definition: Type.Unsafe<PartitionsDefinition>({ type: 'object', additionalProperties: true }),
  totals: Type.Object({
    total: Type.Integer({ description: 'that should be there by now' }),
    materialized: Type.Integer(),
    failed: Type.Integer(),
    missing: Type.Integer(),
  }),
  newestExpected: Nullable(Type.String()),
});

export const TaskOfWorkflow = Type.Object({ workflow: Type.String(), task: Type.String() });

export const AssetTask = Type.Object({
  workflow: Type.String(),
  task: Type.String(),
  asset: Type.String(),
  role: OneOf(['produces', 'consumes']),
});

const AssetPartition = Type.Object({
  key: Type.String(),
  state: OneOf(PARTITION_STATES),
  interval: Nullable(Interval),
  dimensions: Nullable(AnyObject),
  at: Nullable(Type.String({ format: 'date-time', description: 'event time of the data' })),
  recordedAt: Nullable(Time),
  materializationId: Nullable(Type.String()),
  runId: Nullable(Type.String()),
  dataVersion: Nullable(Type.String()),
  codeVersion: Nullable(Type.String()),
  error: Nullable(Type.Object({ name: Type.String(), message: Type.String() })),
  causes: Type.Array(StaleCause),
});

const PartitionCounts = Type.Object({
  total: Type.Integer({ description: 'that should be there by now' }),
  missing: Type.Integer(),
  fresh: Type.Integer(),
  stale: Type.Integer(),
  failed: Type.Integer(),
  degraded: Type.Integer(),
  running: Type.Integer(),
});

const MaterializeReply = Type.Object({
  runs: Type.Array(Type.Unsafe<Run>({ $ref: 'Run#' })),
  runCount: Type.Integer(),
  partitionCount: Type.Integer(),
});

const AssetImpact = Type.Object({
  key: Type.String(),
  assets: Type.Array(
    Type.Object({
      key: Type.String(),
      depth: Type.Integer(),
      critical: Type.Boolean(),
      owners: Type.Array(Type.String()),
      partitions: Nullable(Type.Integer()),
      firstPartition: Nullable(Type.String()),
      lastPartition: Nullable(Type.String()),
      staleAt: Nullable(Time),
    }),
  ),
  workflows: Type.Array(AssetTask),
  owners: Type.Array(Type.String()),
  critical: Type.Array(Type.String()),
  policiesAtRisk: Type.Array(Type.Object({ key: Type.String(), staleAt: Time })),
});

export const PartitionsQuery = Closed({
  ...pageFields,
  state: Type.Optional(OneOf(PARTITION_STATES)),
  from: Type.Optional(PartitionKey),
  to: Type.Optional(PartitionKey),
  order: Type.Optional(OneOf(['newest', 'oldest'])),
});

/** `[key, …]`, `{ from, to }`, or a word. */
export const Selection = Type.Unsafe<PartitionSelection>({
  anyOf: [
    { type: 'array', minItems: 1, maxItems: MAX_KEYS, items: PartitionKey },
    {
      type: 'object',
      additionalProperties: false,
      properties: { from: PartitionKey, to: PartitionKey },
    },
    { type: 'string', enum: ['missing', 'failed', 'stale', 'all', 'latest'] },
  ],
});

const PlannedAsset = Type.Object({
  key: Type.String(),
  partitions: Nullable(Type.Array(Type.String())),
  count: Type.Integer(),
});

const MaterializePlan = Type.Object({
  assets: Type.Array(PlannedAsset),
  runs: Type.Array(
    Type.Object({
      workflow: Type.String(),
      assets: Type.Array(PlannedAsset),
      after: Type.Array(Type.Integer(), { description: 'places of the runs that it waits for' }),
    }),
  ),
  runCount: Type.Integer(),
  partitionCount: Type.Integer(),
});

/** What `POST materialize` answers: the run, or where partitions were named, all that was started. */
export const Materialized = Type.Unsafe<Run | Reply>({
  anyOf: [{ $ref: 'MaterializeReply#' }, { $ref: 'Run#' }],
});

export const DynamicBody = Closed({
  add: Type.Optional(Type.Array(PartitionKey, { maxItems: MAX_KEYS })),
  remove: Type.Optional(Type.Array(PartitionKey, { maxItems: MAX_KEYS })),
});

export const PARTITION_SCHEMAS = {
  MaterializePlan,
  AssetPartition,
  PartitionCounts,
  MaterializeReply,
  AssetImpact,
  DynamicPartitions: Type.Object({ name: Type.String(), keys: Type.Array(Type.String()) }),
};
