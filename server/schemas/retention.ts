/** What is kept for how long, as the API takes and gives it. */
import { Type } from 'typebox';
import { Closed, Nullable, OneOf, Time } from './parts.ts';

/** A duration such as `90d`, or `forever`. */
const Keep = Type.String({ minLength: 1, maxLength: 50 });

const RetentionRound = Type.Object({
  at: Time,
  deleted: Type.Integer(),
  deletedEver: Type.Integer(),
  tookMs: Type.Number(),
  error: Nullable(Type.String()),
});

const RetentionPolicy = Type.Object({
  kind: Type.String(),
  what: Type.String(),
  in: OneOf(['postgresql', 'clickhouse']),
  keep: Type.String(),
  default: Type.String(),
  least: Type.String(),
  setBy: Nullable(Type.String()),
  setAt: Nullable(Time),
  last: Nullable(RetentionRound),
});

export const RetentionBody = Closed({
  keep: Type.Record(Type.String({ minLength: 1, maxLength: 50 }), Keep, { minProperties: 1 }),
});

export const RETENTION_SCHEMAS = { RetentionPolicy };
