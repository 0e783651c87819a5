/** Backfills as the API takes and gives them. */
import { Type } from 'typebox';
import {
  BACKFILL_ITEM_STATES,
  BACKFILL_ORDERS,
  BACKFILL_RERUNS,
  BACKFILL_STATES,
  type BackfillRequest,
} from '../../domain/backfill.ts';
import {
  AnyObject,
  Closed,
  Duration,
  IdempotencyKey,
  Name,
  Nullable,
  OneOf,
  Time,
} from './parts.ts';

const Moment = Type.String({
  ...{ minLength: 1, maxLength: 40 },
  description: 'a date, a local time in the timezone of the schedule, or RFC 3339',
});
const Interval = Type.Object({ start: Time, end: Time });
const MAX_CONCURRENCY = 1_000;
const PRIORITY = { minimum: -1_000, maximum: 1_000 };

export const BackfillBody = Type.Unsafe<BackfillRequest & { readonly dryRun?: boolean }>(
  Closed({
    from: Moment,
    to: Type.String({
      ...{ minLength: 1, maxLength: 40 },
      description: 'as `from`; a date includes its whole day, a time is where the range ends',
    }),
    order: Type.Optional(OneOf(BACKFILL_ORDERS)),
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_CONCURRENCY })),
    rerun: Type.Optional(OneOf(BACKFILL_RERUNS)),
    parameters: Type.Optional(AnyObject),
    priority: Type.Optional(Type.Integer(PRIORITY)),
    every: Type.Optional(Duration),
    timezone: Type.Optional(Name),
    idempotencyKey: Type.Optional(IdempotencyKey),
    dryRun: Type.Optional(Type.Boolean({ description: 'only tell what it would do' })),
  }),
);

const BackfillPlan = Type.Object({
  workflow: Type.String(),
  from: Time,
  to: Type.String({ format: 'date-time', description: 'exclusive' }),
  toRun: Type.Integer(),
  toSkip: Type.Integer(),
  notOver: Type.Integer({ description: 'intervals that are left out, since they are not over' }),
  items: Type.Array(
    Type.Object({
      key: Type.String(),
      logicalDate: Nullable(Time),
      dataInterval: Nullable(Interval),
      partition: Nullable(Type.String()),
      action: OneOf(['run', 'skip']),
      existing: Nullable(Type.Object({ runId: Type.String(), state: Type.String() })),
    }),
  ),
});

const Backfill = Type.Object({
  id: Type.String(),
  workflow: Type.String(),
  state: OneOf(BACKFILL_STATES),
  from: Time,
  to: Type.String({ format: 'date-time', description: 'exclusive' }),
  order: OneOf(BACKFILL_ORDERS),
  concurrency: Type.Integer(),
  priority: Type.Integer(),
  rerun: OneOf(BACKFILL_RERUNS),
  parameters: AnyObject,
  createdBy: Type.String(),
  createdAt: Time,
  finishedAt: Nullable(Time),
  error: Nullable(Type.String()),
  total: Type.Integer(),
  counts: Type.Object(
    Object.fromEntries(BACKFILL_ITEM_STATES.map((state) => [state, Type.Integer()])),
  ),
});

const BackfillItem = Type.Object({
  seq: Type.Integer(),
  key: Type.String(),
  logicalDate: Nullable(Time),
  dataInterval: Nullable(Interval),
  partition: Nullable(Type.String()),
  state: OneOf(BACKFILL_ITEM_STATES),
  runId: Nullable(Type.String()),
});

export const BACKFILL_SCHEMAS = { Backfill, BackfillItem, BackfillPlan };
