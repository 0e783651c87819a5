/** Schedules as agents register them and as the API gives them, and what they call for. */
import { Type } from 'typebox';
import { EXPECTED_OUTCOMES } from '../../domain/schedule.ts';
import { Name, Nullable, OneOf, Time } from './parts.ts';

const MAX_CRON = 10_000;
const MAX_ENTRIES = 50;
const MIN_EVERY_MS = 1_000;

const Dst = Type.Object({
  missing: OneOf(['shift', 'skip']),
  duplicate: OneOf(['first', 'last', 'both', 'none']),
});

const Entry = Type.Union([
  Type.Object({
    everyMs: Type.Integer({ minimum: MIN_EVERY_MS }),
    anchor: Time,
  }),
  Type.Object({
    cron: Type.String({ maxLength: MAX_CRON }),
    timezone: Name,
    dst: Type.Optional(Dst),
  }),
]);

export const Schedule = Type.Object({
  cron: Type.String({
    maxLength: MAX_CRON,
    description: 'a cron expression; of intervals and of several schedules, a text for people',
  }),
  timezone: Name,
  catchup: Type.Boolean(),
  continuous: Type.Optional(Type.Boolean()),
  schedules: Type.Optional(Type.Array(Entry, { minItems: 1, maxItems: MAX_ENTRIES })),
  dst: Type.Optional(Dst),
  startDate: Type.Optional(Time),
  endDate: Type.Optional(Time),
  catchupAtMost: Type.Optional(Type.Integer({ minimum: 1 })),
  catchupWithinMs: Type.Optional(Type.Number({ minimum: 1 })),
  jitterMs: Type.Optional(Type.Integer({ minimum: 0 })),
  overlap: Type.Optional(
    Type.Object({
      policy: OneOf(['queue', 'skip', 'cancel-running', 'allow']),
      atMost: Type.Optional(Type.Integer({ minimum: 1 })),
    }),
  ),
  dependsOnPast: Type.Optional(Type.Boolean()),
});

const Interval = Type.Object({ start: Time, end: Time });

const ExpectedRun = Type.Object({
  workflow: Type.String(),
  logicalDate: Time,
  dataInterval: Interval,
  dueAt: Time,
  outcome: OneOf(EXPECTED_OUTCOMES),
  runId: Nullable(Type.String()),
  reason: Nullable(Type.String({ description: 'why there is no run, or why it was cancelled' })),
  sinceLogicalDate: Nullable(Time),
  noticedAt: Time,
  events: Type.Optional(Type.Integer({ description: 'that were skipped in one pause' })),
  madeGood: Type.Optional(Type.Object({ at: Time, runId: Nullable(Type.String()) })),
});

const SchedulePreview = Type.Object({
  workflow: Type.String(),
  paused: Type.Boolean(),
  schedule: Nullable(Schedule),
  nextRunAt: Nullable(Time),
  upcoming: Type.Array(
    Type.Object({
      logicalDate: Time,
      dataInterval: Interval,
      dueAt: Time,
      local: Type.String({ description: "on the clocks of the schedule's timezone" }),
    }),
  ),
});

const OverdueRun = Type.Object({ workflow: Type.String(), logicalDate: Time, dueAt: Time });

export const SCHEDULE_SCHEMAS = { ExpectedRun, SchedulePreview, OverdueRun };
