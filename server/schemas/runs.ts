/** Workflows, runs and tasks as the API gives them. */
import { Type } from 'typebox';
import { RUN_STATES, RUN_TRIGGERS, TASK_STATES, TASK_WAIT_REASONS } from '../../domain/run.ts';
import { WEIGHT_RULES } from '../../domain/task-graph.ts';
import { AnyObject, Closed, IdempotencyKey, Nullable, OneOf, RunError, Time } from './parts.ts';
import { Schedule } from './schedules.ts';

const Workflow = Type.Object({
  name: Type.String(),
  kind: OneOf(['workflow', 'flow', 'asset', 'system']),
  description: Nullable(Type.String()),
  paused: Type.Boolean(),
  tags: Type.Array(Type.String()),
  owners: Type.Array(Type.String()),
  schedule: Nullable(Schedule),
  nextRunAt: Nullable(Time),
  version: Type.String(),
  parameters: Nullable(AnyObject),
  taskCount: Type.Integer(),
  file: Type.String(),
});

const WorkflowDetail = Type.Object({
  ...Workflow.properties,
  tasks: Type.Array(
    Type.Object({
      key: Type.String(),
      after: Type.Array(Type.String()),
      priority: Type.Optional(Type.Integer()),
      priorityWeight: Type.Optional(Type.Integer()),
      weightRule: Type.Optional(OneOf(WEIGHT_RULES)),
    }),
  ),
  on: Type.Optional(AnyObject),
});

const Run = Type.Object({
  id: Type.String(),
  workflow: Type.String(),
  environment: Type.Optional(
    Type.String({ description: '`production` unless told, or that of a branch' }),
  ),
  engine: Type.String({ description: '`signalbox`, or the engine that it runs on' }),
  state: OneOf(RUN_STATES),
  parameters: AnyObject,
  logicalDate: Nullable(Time),
  dataInterval: Nullable(Type.Object({ start: Time, end: Time })),
  trigger: OneOf(RUN_TRIGGERS),
  priority: Type.Integer(),
  idempotencyKey: Nullable(Type.String()),
  businessKey: Type.String(),
  parentRunId: Nullable(Type.String()),
  retryOf: Nullable(Type.String()),
  traceId: Nullable(Type.String()),
  createdAt: Time,
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
  error: Nullable(RunError),
  pausedAt: Type.Optional(Nullable(Time)),
  pausedBy: Type.Optional(Nullable(Type.String())),
  waitsFor: Type.Optional(Type.Object({ reason: Type.String(), runId: Type.String() })),
  readFromProduction: Type.Optional(
    Type.Array(
      Type.Object({
        asset: Type.String(),
        partition: Nullable(Type.String()),
        versionId: Type.String(),
        at: Time,
      }),
      { description: 'Versions of production that a run of a branch was made from' },
    ),
  ),
});

const Task = Type.Object({
  key: Type.String(),
  state: OneOf(TASK_STATES),
  attempt: Type.Integer(),
  attempts: Type.Optional(Type.Integer()),
  dependsOn: Type.Array(Type.String()),
  agent: Nullable(Type.String()),
  queuedAt: Nullable(Time),
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
  error: Nullable(RunError),
  result: Type.Unknown(),
  reason: Type.Optional(Type.String()),
  mappedFrom: Type.Optional(Type.String()),
  waitsFor: Type.Optional(
    Type.Object({
      reason: OneOf(TASK_WAIT_REASONS),
      name: Type.String(),
      message: Type.String(),
      since: Time,
      runId: Type.Optional(Type.String()),
    }),
  ),
});

const LogLine = Type.Object({
  runId: Type.String(),
  taskKey: Type.String(),
  attempt: Type.Integer(),
  at: Time,
  level: OneOf(['debug', 'info', 'warn', 'error']),
  message: Type.String(),
  attributes: AnyObject,
  cursor: Type.Optional(
    Type.String({ description: 'A list from this cursor on begins behind this line' }),
  ),
});

const MAX_BATCH = 10_000;
const PRIORITY = { minimum: -1_000, maximum: 1_000 };

/** What a trigger takes. */
export const TriggerBody = Closed({
  parameters: Type.Optional(AnyObject),
  idempotencyKey: Type.Optional(IdempotencyKey),
  logicalDate: Type.Optional(Time),
  priority: Type.Optional(Type.Integer(PRIORITY)),
});

export const TriggerBatchBody = Closed({
  runs: Type.Array(TriggerBody, { minItems: 1, maxItems: MAX_BATCH }),
});

export const RUN_SCHEMAS = { Workflow, WorkflowDetail, Run, Task, LogLine };
