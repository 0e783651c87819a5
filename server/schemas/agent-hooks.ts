/** Deadlines and callbacks of definitions, as agents register them. */
import { Type } from 'typebox';
import { CALLBACK_OUTCOMES } from '../../domain/callback.ts';
import { DEADLINE_STARTS, MISS_ACTIONS } from '../../domain/deadline.ts';
import { Key, Name, OneOf } from './parts.ts';

const MAX_HOOKS = 10_000;

export const Deadlines = Type.Array(
  Type.Object({
    name: Name,
    task: Type.Optional(Key),
    afterMs: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 3.2e12 })),
    from: Type.Optional(OneOf(DEADLINE_STARTS)),
    at: Type.Optional(Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' })),
    timezone: Type.Optional(Name),
    onMiss: OneOf(MISS_ACTIONS),
  }),
  { maxItems: MAX_HOOKS },
);

export const Callbacks = Type.Array(
  Type.Object({
    name: Key,
    task: Type.Optional(Key),
    on: OneOf(CALLBACK_OUTCOMES),
    url: Type.Optional(Type.String({ pattern: '^https?://', maxLength: 2_000 })),
  }),
  { maxItems: MAX_HOOKS },
);
