/** Deadlines and callbacks as the API gives them. */
import { Type } from 'typebox';
import { CALLBACK_OUTCOMES } from '../../domain/callback.ts';
import { LATE_REASONS, MISS_ACTIONS } from '../../domain/deadline.ts';
import { Nullable, OneOf, Time } from './parts.ts';

const Deadline = Type.Object({
  state: OneOf(['pending', 'missed']),
  id: Type.String(),
  workflow: Type.String(),
  runId: Nullable(Type.String({ description: 'null where no run came' })),
  taskKey: Nullable(Type.String({ description: 'null for the whole run' })),
  name: Type.String(),
  logicalDate: Nullable(Time),
  dueAt: Time,
  onMiss: OneOf(MISS_ACTIONS),
  missed: Nullable(
    Type.Object({
      noticedAt: Time,
      reason: OneOf(LATE_REASONS),
      blockers: Type.Array(
        Type.Object({
          kind: OneOf(['pool', 'queue', 'run', 'task', 'workflow']),
          name: Type.String(),
          detail: Type.String(),
        }),
      ),
      detail: Type.String(),
      endedAt: Nullable(Time),
      endState: Nullable(Type.String()),
      actedAt: Nullable(Time),
      actionError: Nullable(Type.String()),
    }),
  ),
});

const CallbackRecord = Type.Object({
  key: Type.String(),
  callback: Type.String(),
  outcome: OneOf(CALLBACK_OUTCOMES),
  task: Nullable(Type.String()),
  kind: OneOf(['code', 'webhook']),
  state: OneOf(['pending', 'running', 'succeeded', 'failed']),
  attempts: Type.Integer(),
  error: Nullable(Type.String()),
  callbackRunId: Nullable(Type.String({ description: 'the run that runs the code; its log' })),
  url: Nullable(Type.String({ description: 'scheme, host and port of the address' })),
  createdAt: Time,
  endedAt: Nullable(Time),
});

export const DEADLINE_SCHEMAS = { Deadline, CallbackRecord };
