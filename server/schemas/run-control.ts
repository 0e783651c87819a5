/** What people do to runs by hand, as the API takes it and tells its effect. */
import { Type } from 'typebox';
import { RUN_STATES, TASK_STATES } from '../../domain/run.ts';
import { EFFECT_REASONS } from '../../domain/run-control.ts';
import {
  AnyObject,
  Closed,
  IdempotencyKey,
  Key,
  Name,
  Nullable,
  OneOf,
  RunError,
  Text,
  Time,
} from './parts.ts';

/** Tasks that one call names. */
const MAX_TASKS = 1_000;
const MAX_RUNS = 1_000;

const ACTIONS = ['clear', 'mark', 'cancel', 'pause', 'resume', 'retry'] as const;
const tasks = Type.Array(Key, { minItems: 1, maxItems: MAX_TASKS });
const dryRun = Type.Boolean({ description: 'Show the effect and change nothing' });
const common = { reason: Type.Optional(Text), dryRun: Type.Optional(dryRun) };

/** Takes the place of `dryRun` in the body. */
export const DryRunQuery = Closed({ dryRun: Type.Optional(dryRun) });

const clearing = {
  ...common,
  tasks: Type.Optional(tasks),
  downstream: Type.Optional(Type.Boolean()),
  upstream: Type.Optional(Type.Boolean()),
  onlyFailed: Type.Optional(Type.Boolean()),
  force: Type.Optional(
    Type.Boolean({ description: 'Stop chosen tasks that run; else such a run is refused' }),
  ),
};

/** Which runs an action on many is for. */
const selection = {
  workflow: Name,
  states: Type.Optional(Type.Array(OneOf(RUN_STATES), { minItems: 1, maxItems: 8 })),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_RUNS })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
};

export const ClearBody = Closed(clearing);
export const ClearManyBody = Closed({ ...selection, ...clearing });
export const MarkBody = Closed({
  ...common,
  as: OneOf(['succeeded', 'failed']),
  tasks: Type.Optional(tasks),
  result: Type.Optional(Type.Unknown()),
});
export const CancelBody = Closed({ ...common, tasks: Type.Optional(tasks) });
export const CancelManyBody = Closed({ ...selection, ...common });
export const PauseBody = Closed({ dryRun: Type.Optional(dryRun) });
export const RetryBody = Closed({
  ...common,
  from: Type.Optional(Key),
  all: Type.Optional(Type.Boolean()),
});
export const RerunBody = Closed({
  parameters: Type.Optional(AnyObject),
  idempotencyKey: Type.Optional(IdempotencyKey),
});

const TaskEffect = Type.Object({
  key: Type.String(),
  from: OneOf(TASK_STATES),
  to: OneOf(TASK_STATES),
  reason: OneOf(EFFECT_REASONS),
  stopped: Type.Boolean({ description: 'An attempt under way is told to stop' }),
});

const RunEffect = Type.Object({
  runId: Type.String(),
  workflow: Type.String(),
  logicalDate: Nullable(Time),
  from: OneOf(RUN_STATES),
  to: OneOf(RUN_STATES),
  tasks: Type.Array(TaskEffect),
  stepsForgotten: Type.Array(Type.String()),
  versions: Type.Optional(
    Type.Array(
      Type.Object({
        asset: Type.String(),
        partitions: Nullable(Type.Array(Type.String())),
        count: Type.Integer(),
      }),
      { description: 'Versions of assets that the mark records' },
    ),
  ),
});

const Counts = Type.Object({
  runs: Type.Integer(),
  tasks: Type.Integer(),
  rerun: Type.Integer(),
  stopped: Type.Integer(),
  stepsForgotten: Type.Integer(),
  downstreamTasks: Type.Integer(),
  childRuns: Type.Integer(),
  assets: Type.Integer(),
  refused: Type.Integer(),
});

const Effect = Type.Object({
  action: OneOf(ACTIONS),
  dryRun: Type.Boolean(),
  runs: Type.Array(RunEffect),
  refused: Type.Array(Type.Object({ runId: Type.String(), reason: Type.String() })),
  downstream: Type.Object({
    tasks: Type.Array(Type.Object({ runId: Type.String(), key: Type.String() })),
    childRuns: Type.Array(
      Type.Object({ id: Type.String(), workflow: Type.String(), state: OneOf(RUN_STATES) }),
    ),
    assets: Type.Array(Type.Object({ key: Type.String(), owners: Type.Array(Type.String()) })),
  }),
  counts: Counts,
  nextCursor: Nullable(Type.String()),
});

const Attempt = Type.Object({
  attempt: Type.Integer(),
  state: OneOf(TASK_STATES),
  agent: Nullable(Type.String()),
  queuedAt: Nullable(Time),
  startedAt: Nullable(Time),
  finishedAt: Nullable(Time),
  error: Nullable(RunError),
  resultBytes: Nullable(Type.Integer()),
  cachedFrom: Type.Optional(
    Type.String({ description: 'run whose result it took from the cache' }),
  ),
});

const RunAction = Type.Object({
  at: Time,
  actor: Type.String(),
  action: OneOf(ACTIONS),
  reason: Nullable(Type.String()),
  detail: AnyObject,
});

export const RUN_CONTROL_SCHEMAS = { Effect, Attempt, RunAction };
