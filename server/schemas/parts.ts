/** Pieces that the schemas of all resources are made of. */
import { type TSchema, type TUnsafe, Type } from 'typebox';
import type { ErrorCause } from '../../domain/run.ts';

const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;
const MAX_TEXT = 2_000;
const MAX_NAME = 250;
const MAX_CAUSES = 4;

/** An object of a request: fields that are not named are refused. */
export function Closed<T extends Record<string, TSchema>>(properties: T) {
  return Type.Object(properties, { additionalProperties: false });
}

/** What a list's query holds, beside its filters. */
export const pageFields = {
  limit: Type.Integer({ minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT }),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
};

export const Name = Type.String({ minLength: 1, maxLength: MAX_NAME });
export const Key = Type.String({ minLength: 1, maxLength: 1_000 });
export const Text = Type.String({ minLength: 1, maxLength: MAX_TEXT });
export const Time = Type.String({ format: 'date-time' });
export const Duration = Type.String({ format: 'duration', maxLength: 50 });
export const AnyObject = Type.Record(Type.String(), Type.Unknown());
export const IdempotencyKey = Type.String({ minLength: 1, maxLength: 500 });

const said = { name: Type.String(), message: Type.String(), code: Type.Optional(Type.String()) };

/** A cause with so many more below it; agents keep no more. */
function causeWithin(more: number): TUnsafe<ErrorCause> {
  const cause: TSchema | undefined = more === 0 ? undefined : causeWithin(more - 1);
  return Type.Unsafe<ErrorCause>(
    Type.Object(cause === undefined ? said : { ...said, cause: Type.Optional(cause) }),
  );
}

/** Why something failed, as it is recorded. */
export const RunError = Type.Object({
  ...said,
  stack: Type.Optional(Type.String()),
  cause: Type.Optional(causeWithin(MAX_CAUSES)),
});

export function Nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

export function OneOf<const T extends readonly string[]>(values: T) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values] });
}

/** A registered schema (`addSchemas`) by its name, with the type that it stands for. */
export function Named<T>(name: string) {
  return Type.Unsafe<T>({ $ref: `${name}#` });
}

/** A page of a list, newest first. */
export function PageOf<T>(name: string) {
  return Type.Unsafe<{ readonly items: readonly T[]; readonly nextCursor: string | null }>({
    type: 'object',
    required: ['items', 'nextCursor'],
    properties: {
      items: { type: 'array', items: { $ref: `${name}#` } },
      nextCursor: { type: ['string', 'null'] },
    },
  });
}
