/**
 * Bodies of the agent protocol. Agents may be newer than the server, so fields that are not known are let
 * through here and nowhere else.
 */

import { Type } from 'typebox';
import {
  type ClaimRequest,
  type CompleteRequest,
  type DiedRequest,
  type DynamicPartitionsRequest,
  type HeartbeatRequest,
  ISOLATIONS,
  type LogsRequest,
  type OnceRequest,
  type RegisterRequest,
  type StepsRequest,
  type SubflowRequest,
} from '../../domain/agent-protocol.ts';
import { WHILE_PAUSED } from '../../domain/origin.ts';
import type { LookEnd, LooksRequest } from '../../domain/sensor.ts';
import { WEIGHT_RULES } from '../../domain/task-graph.ts';
import { TRIGGER_RULES } from '../../domain/trigger-rule.ts';
import type { EmitRequest, SuspendRequest, WaitRequest } from '../../domain/wait.ts';
import { Callbacks, Deadlines } from './agent-hooks.ts';
import { AnyObject, Key, Name, Nullable, OneOf, RunError, Time } from './parts.ts';
import { Schedule } from './schedules.ts';

const MAX_BATCH = 10_000;
const MAX_CAPACITY = 100_000;
const MAX_WAIT_MS = 60_000;
const MAX_MAPPED = 100_000;
/** 31 days. */
const MAX_RETRY_AFTER_MS = 2_678_400_000;

const RunId = Type.String({ minLength: 1, maxLength: 100 });
const Token = Type.String({ pattern: '^-?\\d{1,20}$' });
const EpochMs = Type.Number({ minimum: 0, maximum: 8.64e15 });
const Count = Type.Integer({ minimum: 0, maximum: MAX_CAPACITY });

const Limit = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const Labels = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9_./-]{1,63}$' }),
  Type.String({ pattern: '^[A-Za-z0-9_./-]{1,63}$' }),
  { maxProperties: 50 },
);

const TaskDefinition = Type.Object({
  key: Key,
  after: Type.Array(Key),
  retries: Type.Integer({ minimum: 0 }),
  retryDelayMs: Type.Number({ minimum: 0 }),
  retryBackoff: Type.Number({ minimum: 0 }),
  retryMaxDelayMs: Type.Number({ minimum: 0 }),
  timeoutMs: Nullable(Type.Number({ minimum: 0 })),
  pool: Nullable(Name),
  poolSlots: Type.Integer({ minimum: 0 }),
  priority: Type.Integer(),
  priorityWeight: Type.Optional(Type.Integer({ minimum: -10_000, maximum: 10_000 })),
  weightRule: Type.Optional(OneOf(WEIGHT_RULES)),
  idempotent: Type.Boolean(),
  triggerRule: Type.Optional(OneOf(TRIGGER_RULES)),
  allowFailure: Type.Optional(Type.Boolean()),
  dependsOnPast: Type.Optional(Type.Boolean()),
  waitForDownstream: Type.Optional(Type.Boolean()),
  retryDelaysMs: Type.Optional(
    Type.Array(Type.Number({ minimum: 0 }), { minItems: 1, maxItems: 1_000 }),
  ),
  retryJitter: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  setup: Type.Optional(Type.Boolean()),
  teardown: Type.Optional(Type.Object({ setups: Type.Array(Key), failRun: Type.Boolean() })),
  map: Type.Optional(
    Type.Object({
      over: Key,
      maxItems: Type.Integer({ minimum: 1, maximum: MAX_MAPPED }),
      concurrency: Nullable(Type.Integer({ minimum: 1 })),
    }),
  ),
  isolation: Type.Optional(OneOf(ISOLATIONS)),
  memoryMiB: Type.Optional(Type.Integer({ minimum: 1 })),
  cancelGraceMs: Type.Optional(Type.Number({ minimum: 0 })),
  type: Type.Optional(OneOf(['branch', 'short-circuit', 'subflow'])),
  queue: Type.Optional(Name),
  maxActive: Type.Optional(Limit),
  maxActivePerRun: Type.Optional(Limit),
  concurrency: Type.Optional(
    Type.Object({
      key: Type.String({ minLength: 1, maxLength: 200 }),
      limit: Limit,
      scope: Type.Optional(OneOf(['task', 'workflow', 'global'])),
    }),
  ),
  requires: Type.Optional(Labels),
});

const On = Type.Object({
  match: OneOf(['any', 'all']),
  conditions: Type.Array(
    Type.Union([
      Type.Object({
        kind: Type.Literal('run'),
        workflow: Name,
        state: OneOf(['succeeded', 'failed', 'any']),
      }),
      Type.Object({ kind: Type.Literal('asset'), asset: Name }),
    ]),
    { minItems: 1, maxItems: 50 },
  ),
  whilePaused: Type.Optional(OneOf(WHILE_PAUSED)),
});

const Definition = Type.Object({
  name: Name,
  kind: OneOf(['workflow', 'flow', 'asset']),
  file: Type.String(),
  tags: Type.Array(Type.String()),
  owners: Type.Array(Type.String()),
  schedule: Nullable(Schedule),
  parameters: Nullable(AnyObject),
  queue: Name,
  maxActiveRuns: Nullable(Type.Integer({ minimum: 1 })),
  maxActiveTasks: Type.Optional(Limit),
  concurrency: Type.Optional(
    Type.Object({
      key: Type.String({ minLength: 1, maxLength: 200 }),
      limit: Limit,
      strategy: OneOf(['queue', 'cancel-running', 'cancel-new', 'skip']),
      scope: Type.Optional(OneOf(['workflow', 'global'])),
    }),
  ),
  tasks: Type.Array(TaskDefinition),
  asset: Nullable(AnyObject),
  on: Type.Optional(On),
  deadlines: Type.Optional(Deadlines),
  callbacks: Type.Optional(Callbacks),
  callbacksOf: Type.Optional(Name),
  codeVersions: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 200 }))),
  sensor: Type.Optional(
    Type.Object({
      triggers: Nullable(Name),
      everyMs: Type.Integer({ minimum: 1_000, maximum: 86_400_000 }),
      timeoutMs: Type.Integer({ minimum: 1, maximum: 86_400_000 }),
      hasCode: Type.Boolean(),
    }),
  ),
});

export const RegisterBody = Type.Unsafe<RegisterRequest>(
  Type.Object({
    environment: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    session: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    name: Name,
    queues: Type.Array(Name, { minItems: 1, maxItems: 100 }),
    concurrency: Type.Integer({ minimum: 1, maximum: MAX_CAPACITY }),
    labels: Type.Optional(Labels),
    version: Type.String({ maxLength: 200 }),
    definitions: Type.Array(Definition, { maxItems: 100_000 }),
    fileErrors: Type.Array(Type.Object({ file: Type.String(), message: Type.String() })),
  }),
);

export const ClaimBody = Type.Unsafe<ClaimRequest>(
  Type.Object({
    capacity: Count,
    waitMs: Type.Number({ minimum: 0, maximum: MAX_WAIT_MS }),
  }),
);

export const CompleteBody = Type.Unsafe<CompleteRequest>(
  Type.Object({
    completions: Type.Array(
      Type.Object({
        runId: RunId,
        taskKey: Key,
        token: Token,
        state: OneOf(['succeeded', 'failed', 'cancelled', 'skipped']),
        final: Type.Optional(Type.Boolean()),
        retryAfterMs: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_RETRY_AFTER_MS })),
        branch: Type.Optional(
          Type.Object({
            follow: Type.Array(Key, { maxItems: MAX_BATCH }),
            skipAll: Type.Optional(Type.Boolean()),
          }),
        ),
        error: Type.Optional(RunError),
        startedAt: EpochMs,
        finishedAt: EpochMs,
        asset: Type.Optional(
          Type.Object({
            metadata: AnyObject,
            checks: Type.Array(
              Type.Object({
                name: Name,
                passed: Type.Boolean(),
                blocking: Type.Boolean(),
                severity: Type.Optional(OneOf(['warn', 'error'])),
                metadata: AnyObject,
              }),
            ),
            eventTime: Type.Optional(Type.String({ format: 'date-time' })),
            mode: Type.Optional(OneOf(['materialize', 'observe', 'check'])),
            of: Type.Optional(Key),
            stored: Type.Optional(Type.Object({ kind: Name, location: AnyObject })),
            dataVersion: Type.Optional(Type.String({ maxLength: 500 })),
          }),
        ),
      }),
      { maxItems: MAX_BATCH },
    ),
    take: Count,
    brief: Type.Optional(Type.Boolean()),
    compact: Type.Optional(Type.Boolean()),
  }),
);

export const StepsBody = Type.Unsafe<StepsRequest>(
  Type.Object({
    steps: Type.Array(
      Type.Object({
        runId: RunId,
        token: Token,
        key: Key,
        state: OneOf(['succeeded', 'failed']),
        error: Type.Optional(RunError),
        startedAt: EpochMs,
        finishedAt: EpochMs,
      }),
      { maxItems: MAX_BATCH },
    ),
  }),
);

export const HeartbeatBody = Type.Unsafe<HeartbeatRequest>(
  Type.Object({
    running: Count,
    pools: Type.Array(
      Type.Object({
        name: Name,
        kind: Type.String(),
        server: Nullable(Type.String()),
        used: Type.Integer({ minimum: 0 }),
        idle: Type.Integer({ minimum: 0 }),
        waiting: Type.Integer({ minimum: 0 }),
        max: Type.Integer({ minimum: 0 }),
        timeouts: Type.Integer({ minimum: 0 }),
      }),
      { maxItems: 1_000 },
    ),
    tokens: Type.Optional(Type.Array(Token, { maxItems: MAX_CAPACITY })),
  }),
);

export const LogsBody = Type.Unsafe<LogsRequest>(
  Type.Object({
    lines: Type.Array(
      Type.Object({
        runId: RunId,
        taskKey: Type.String({ maxLength: 1_000 }),
        attempt: Type.Integer({ minimum: 0 }),
        at: EpochMs,
        seq: Type.Optional(Type.Integer({ minimum: 0 })),
        level: OneOf(['debug', 'info', 'warn', 'error']),
        message: Type.String(),
        attributes: AnyObject,
      }),
      { maxItems: MAX_BATCH },
    ),
    dropped: Type.Integer({ minimum: 0 }),
  }),
);

export const DiedBody = Type.Unsafe<DiedRequest>(
  Type.Object({
    reason: Type.String({ maxLength: 2_000 }),
    culprit: Type.Optional(
      Type.Object({ token: Token, message: Type.String({ maxLength: 2_000 }) }),
    ),
  }),
);

export const OnceBody = Type.Unsafe<OnceRequest>({
  type: 'object',
  required: ['op', 'runId', 'token', 'key'],
  properties: {
    op: { type: 'string', enum: ['begin', 'finish', 'fail'] },
    runId: RunId,
    token: Token,
    key: Key,
    onUnknown: { type: 'string', enum: ['repeat', 'stop'] },
    result: {},
  },
  anyOf: [
    { required: ['onUnknown'], properties: { op: { const: 'begin' } } },
    { properties: { op: { enum: ['finish', 'fail'] } } },
  ],
});

export const SubflowBody = Type.Unsafe<SubflowRequest>(
  Type.Object({ runId: RunId, token: Token, key: Key, workflow: Name, parameters: AnyObject }),
);

export const LooksBody = Type.Unsafe<LooksRequest>(
  Type.Object({ capacity: Count, waitMs: Type.Number({ minimum: 0, maximum: MAX_WAIT_MS }) }),
);

export const LookEndBody = Type.Unsafe<LookEnd>(
  Type.Object({
    sensor: Name,
    token: Token,
    eventIds: Type.Array(Token, { maxItems: 1_000 }),
    error: Type.Optional(RunError),
    runs: Type.Optional(
      Type.Array(
        Type.Object({
          workflow: Type.Optional(Name),
          parameters: Type.Optional(AnyObject),
          key: Type.String({ minLength: 1, maxLength: 400 }),
          logicalDate: Type.Optional(Time),
          priority: Type.Optional(Type.Integer({ minimum: -1_000, maximum: 1_000 })),
        }),
        { maxItems: 1_000 },
      ),
    ),
    cursor: Type.Optional(Nullable(Type.String({ maxLength: 100_000 }))),
    skipReason: Type.Optional(Type.String({ maxLength: 2_000 })),
  }),
);

export const WaitBody = Type.Unsafe<WaitRequest>(
  Type.Object({
    runId: RunId,
    token: Token,
    key: Key,
    kind: OneOf(['event', 'input']),
    name: Type.Optional(Key),
    correlation: Type.Optional(Type.String({ maxLength: 500 })),
    message: Type.Optional(Type.String({ maxLength: 10_000 })),
    schema: Type.Optional(AnyObject),
    timeoutMs: Nullable(Type.Number({ minimum: 0 })),
    waitMs: Type.Number({ minimum: 0, maximum: MAX_WAIT_MS }),
  }),
);

export const SuspendBody = Type.Unsafe<SuspendRequest>(
  Type.Object({
    runId: RunId,
    taskKey: Key,
    token: Token,
    wakeInMs: Nullable(Type.Number({ minimum: 0 })),
    wakes: Type.Boolean(),
    runs: Type.Optional(Type.Array(RunId, { maxItems: 1_000 })),
    over: Type.Optional(
      Type.Object({ attempt: Type.Integer({ minimum: 1, maximum: 32_767 }), at: EpochMs }),
    ),
  }),
);

export const EmitBody = Type.Unsafe<EmitRequest>(
  Type.Object({
    runId: RunId,
    token: Token,
    key: Key,
    name: Key,
    correlation: Type.Optional(Type.String({ maxLength: 500 })),
  }),
);

const PartitionKeys = Type.Array(Type.String({ minLength: 1, maxLength: 250 }), {
  maxItems: MAX_BATCH,
});

export const DynamicPartitionsBody = Type.Unsafe<DynamicPartitionsRequest>(
  Type.Object({
    name: Name,
    add: Type.Optional(PartitionKeys),
    remove: Type.Optional(PartitionKeys),
  }),
);

export const WaitQuery = Type.Object({
  waitMs: Type.Number({ minimum: 0, maximum: MAX_WAIT_MS, default: 0 }),
});
