/** What flows wait for, as the API takes and gives it. */
import { Type } from 'typebox';
import { WAIT_STATES } from '../../domain/wait.ts';
import { AnyObject, Closed, IdempotencyKey, Nullable, OneOf, Time } from './parts.ts';

const MAX_TEXT = 500;
export const EventName = Type.String({ minLength: 1, maxLength: MAX_TEXT });
const Correlation = Type.String({ minLength: 1, maxLength: MAX_TEXT });

/** An event for whoever waits for its name. */
export const NamedEventBody = Closed({
  correlation: Type.Optional(Correlation),
  body: Type.Optional(Type.Unknown()),
  idempotencyKey: Type.Optional(IdempotencyKey),
});

/** An event for one run. */
export const RunEventBody = Closed({
  name: EventName,
  body: Type.Optional(Type.Unknown()),
  idempotencyKey: Type.Optional(IdempotencyKey),
});

export const InputBody = Closed({ value: Type.Unknown() });

const EventReceipt = Type.Object({
  id: Type.String(),
  created: Type.Boolean({ description: 'false where its idempotency key had been used' }),
  woke: Type.Array(Type.String(), { description: 'runs that waited for it' }),
});

const RunInput = Type.Object({
  runId: Type.String(),
  key: Type.String(),
  state: OneOf(WAIT_STATES),
  message: Nullable(Type.String()),
  schema: Nullable(AnyObject),
  askedAt: Time,
  deadline: Nullable(Time),
  value: Type.Unknown(),
  answeredAt: Nullable(Time),
  answeredBy: Nullable(Type.String()),
});

export const SIGNAL_SCHEMAS = { EventReceipt, RunInput };
