/** Assets, pools, queues and agents as the API gives them. */
import { Type } from 'typebox';
import { AGENT_STATES } from '../../domain/agent.ts';
import { CHECK_STATES, FRESHNESS } from '../../domain/asset.ts';
import { AutomationSummary } from './automation.ts';
import {
  AssetTask,
  InputVersion,
  PartitionsOfAsset,
  Selection,
  StaleCause,
  TaskOfWorkflow,
} from './partitions.ts';
import { AnyObject, Closed, Duration, IdempotencyKey, Nullable, OneOf, Time } from './parts.ts';

const Materialization = Type.Object({
  id: Type.String(),
  assetKey: Type.String(),
  at: Type.String({ format: 'date-time', description: 'event time of the data' }),
  recordedAt: Time,
  runId: Nullable(Type.String()),
  partition: Nullable(Type.String()),
  provenance: OneOf(['computed', 'fallback', 'observed', 'marked']),
  metadata: AnyObject,
  dataVersion: Type.Optional(Type.String()),
  codeVersion: Type.Optional(Nullable(Type.String())),
  inputs: Type.Optional(Type.Array(InputVersion)),
  stored: Type.Optional(
    Nullable(
      Type.Object({
        kind: Type.String({ description: 'of the IO manager that keeps it' }),
        location: AnyObject,
        rows: Nullable(Type.Integer()),
        sizeBytes: Nullable(Type.Number()),
        schema: Nullable(Type.Array(Type.Object({ name: Type.String(), type: Type.String() }))),
        stream: Type.Boolean(),
      }),
    ),
  ),
});

const Asset = Type.Object({
  key: Type.String(),
  namespace: Type.String(),
  name: Type.String(),
  description: Nullable(Type.String()),
  owners: Type.Array(Type.String()),
  external: Type.Boolean({ description: 'made elsewhere: no code here makes it' }),
  freshness: OneOf(FRESHNESS),
  lastMaterialization: Nullable(Type.Object({ ...Materialization.properties })),
  policy: Type.Object({
    warnAfter: Nullable(Type.String()),
    failAfter: Nullable(Type.String()),
    deadlineCron: Nullable(Type.String()),
    critical: Type.Boolean(),
    fallback: Nullable(Type.Literal('last-good')),
  }),
  dependsOn: Type.Array(Type.String()),
  checks: Type.Array(
    Type.Object({
      name: Type.String(),
      passed: Nullable(Type.Boolean()),
      blocking: Type.Boolean(),
      severity: Type.Optional(OneOf(['warn', 'error'])),
      at: Nullable(Time),
      metadata: Type.Optional(Nullable(AnyObject)),
    }),
  ),
  checkState: Type.Optional(Nullable(OneOf(CHECK_STATES))),
  io: Type.Optional(Nullable(Type.String({ description: 'IO manager that keeps its values' }))),
  lastObservation: Type.Optional(
    Nullable(
      Type.Object({
        at: Nullable(Time),
        recordedAt: Time,
        dataVersion: Nullable(Type.String()),
      }),
    ),
  ),
  partitions: Type.Optional(Nullable(PartitionsOfAsset)),
  codeVersion: Type.Optional(Nullable(Type.String())),
  staleCauses: Type.Optional(Type.Array(StaleCause)),
  automation: Type.Optional(Nullable(AutomationSummary)),
  producedBy: Type.Optional(Type.Array(TaskOfWorkflow)),
  consumedBy: Type.Optional(Type.Array(TaskOfWorkflow)),
});

const LineageGraph = Type.Object({
  nodes: Type.Array(
    Type.Object({
      ...{ key: Type.String(), depth: Type.Integer(), freshness: OneOf(FRESHNESS) },
      readFrom: Type.Optional(Type.Literal('production')),
    }),
  ),
  edges: Type.Array(Type.Object({ from: Type.String(), to: Type.String() })),
  tasks: Type.Optional(Type.Array(AssetTask)),
});

const Pool = Type.Object({
  name: Type.String(),
  kind: Type.String({
    description: 'task-slots, postgres-client, postgres-server, pgbouncer, otel, or an engine’s',
  }),
  used: Type.Integer(),
  idle: Type.Integer(),
  waiting: Type.Integer(),
  max: Nullable(Type.Integer()),
  at: Nullable(Time),
});

const Queue = Type.Object({
  name: Type.String(),
  paused: Type.Boolean(),
  concurrency: Nullable(Type.Integer()),
  ready: Type.Integer(),
  running: Type.Integer(),
  waiting: Type.Integer(),
  waitingSince: Nullable(Time),
  priority: Type.Integer(),
  rateLimit: Nullable(Type.Object({ count: Type.Integer(), per: Type.String() })),
});

const Agent = Type.Object({
  id: Type.String(),
  name: Type.String(),
  state: OneOf(AGENT_STATES),
  queues: Type.Array(Type.String()),
  concurrency: Type.Integer(),
  running: Type.Integer(),
  labels: Type.Record(Type.String(), Type.String()),
  startedAt: Time,
  lastHeartbeatAt: Time,
  leaseExpiresAt: Time,
});

export const PolicyBody = Closed({
  warnAfter: Type.Optional(Nullable(Duration)),
  failAfter: Type.Optional(Nullable(Duration)),
  deadlineCron: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 200 }))),
  critical: Type.Optional(Type.Boolean()),
  fallback: Type.Optional(Nullable(Type.Literal('last-good'))),
});

export const MaterializeBody = Closed({
  downstream: Type.Optional(Type.Boolean({ description: 'all that lies downstream as well' })),
  upstream: Type.Optional(Type.Boolean({ description: 'all that lies upstream as well' })),
  partitions: Type.Optional(Selection),
  single: Type.Optional(Type.Boolean({ description: 'all partitions in one run' })),
  dryRun: Type.Optional(
    Type.Boolean({ description: 'says what would be made, and makes nothing' }),
  ),
  idempotencyKey: Type.Optional(IdempotencyKey),
});

const MAX_SLOTS = 1_000_000;

export const PoolBody = Closed({ max: Type.Integer({ minimum: 0, maximum: MAX_SLOTS }) });

export const QueueBody = Closed({
  paused: Type.Optional(Type.Boolean()),
  concurrency: Type.Optional(Nullable(Type.Integer({ minimum: 0, maximum: MAX_SLOTS }))),
  priority: Type.Optional(Type.Integer({ minimum: -1_000, maximum: 1_000 })),
  rateLimit: Type.Optional(
    Nullable(Closed({ count: Type.Integer({ minimum: 1, maximum: MAX_SLOTS }), per: Duration })),
  ),
});

export const ASSET_SCHEMAS = { Materialization, Asset, LineageGraph, Pool, Queue, Agent };
