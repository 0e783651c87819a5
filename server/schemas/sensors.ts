/** Sensors as the API takes and gives them. */
import { Type } from 'typebox';
import { AnyObject, Closed, Nullable, OneOf, Time } from './parts.ts';

const MAX_CURSOR = 100_000;
const MAX_KEY = 400;

export const SensorEventBody = Closed({
  body: Type.Optional(Type.Unknown({ description: 'of a push sensor: the parameters of the run' })),
  idempotencyKey: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MAX_KEY,
      description: 'the same key is the same event',
    }),
  ),
});

export const CursorBody = Closed({
  cursor: Nullable(Type.String({ maxLength: MAX_CURSOR })),
});

const Sensor = Type.Object({
  name: Type.String(),
  description: Nullable(Type.String()),
  file: Type.String(),
  queue: Type.String(),
  triggers: Nullable(Type.String()),
  kind: OneOf(['poll', 'push']),
  every: Nullable(Type.String()),
  paused: Type.Boolean(),
  cursor: Nullable(Type.String()),
  state: Type.Unknown(),
  lastLookAt: Nullable(Time),
  nextLookAt: Nullable(Time),
  looking: Type.Boolean(),
  lastError: Nullable(AnyObject),
  failures: Type.Integer({ description: 'looks that failed since the last one that did not' }),
  skipReason: Nullable(Type.String()),
  lastRuns: Type.Array(
    Type.Object({
      runId: Type.String(),
      workflow: Type.String(),
      key: Type.String(),
      at: Time,
    }),
  ),
  waitingEvents: Type.Integer(),
  refusedEvents: Type.Integer({ description: 'events that it failed with again and again' }),
});

const SensorEventReceipt = Type.Object({
  sensor: Type.String(),
  key: Type.String(),
  created: Type.Boolean(),
  runId: Nullable(Type.String()),
});

export const SENSOR_SCHEMAS = { Sensor, SensorEventReceipt };
