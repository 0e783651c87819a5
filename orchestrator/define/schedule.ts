/**
 * Schedules as users write them: a cron expression or a preset, an interval, or several of these, in a timezone;
 * and the policies of what is late, doubled or in each other's way. What they mean is in `domain/schedule.ts`.
 */
import { Cron } from 'croner';
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import {
  DEFAULT_DST,
  type DstPolicies,
  type Overlap,
  type ScheduleEntry,
} from '../../domain/schedule.ts';
import { formatDuration, parseDuration } from '../../domain/time.ts';
import { readCronFields } from '../schedule/cron-fields.ts';
import { localAtOrAfter } from '../schedule/cron-walk.ts';
import {
  DefinitionError,
  durationMs,
  flag,
  inDefinition,
  integer,
  oneOf,
  optional,
  type Read,
  readOptions,
  spanMs,
} from './options.ts';
import { readMoment } from './schedule-dates.ts';

const zones = new Map<string, boolean>();
const crons = new Set<string>();
const MAX_ENTRIES = 50;
const MIN_EVERY_MS = 1_000;
const MAX_JITTER_MS = 86_400_000;
const MAX_CATCHUP = 100_000;
/** What intervals count from unless told: midnight UTC, on a Monday, so that weeks begin on Mondays. */
const MONDAY = '2000-01-03T00:00:00Z';

/** A cron expression of a deadline. */
export const cron: Read<string> = (value) => {
  if (typeof value !== 'string') throw new DefinitionError('must be a cron expression');
  // Thousands of workflows share few schedules.
  if (crons.has(value)) return value;
  try {
    new Cron(value, { paused: true });
    crons.add(value);
    return value;
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new DefinitionError(
      `${JSON.stringify(value)} is not a cron expression such as "0 2 * * *" or "@daily" (${detail})`,
    );
  }
};

const timezone: Read<string> = (value = 'UTC') => {
  if (typeof value === 'string' && isZone(value)) return value;
  throw new DefinitionError(
    `${JSON.stringify(value)} is not a timezone such as "UTC" or "Europe/Berlin"`,
  );
};

function isZone(value: string): boolean {
  const known = zones.get(value);
  if (known !== undefined) return known;
  let valid = true;
  try {
    new Intl.DateTimeFormat('en', { timeZone: value });
  } catch {
    valid = false;
  }
  zones.set(value, valid);
  return valid;
}

/** A cron expression with what is its own. */
export interface CronScheduleOptions {
  /** Five fields, six with seconds first, or a preset. */
  readonly cron: string;
  /** IANA name; the workflow's unless told. */
  readonly timezone?: string;
  readonly dst?: Partial<DstPolicies>;
}

/** Each so much elapsed time, whatever clocks do. */
export interface EveryScheduleOptions {
  /** `"15m"`, `"PT15M"`; a second at least. */
  readonly every: string | number;
  /** A moment that it counts from; the start date unless told, else a midnight UTC, on a Monday. */
  readonly anchor?: string | Date;
}

/** `"0 2 * * *"`, `"@daily"`, `"15m"`, `"PT15M"`, or an object. */
export type ScheduleInput = string | CronScheduleOptions | EveryScheduleOptions;

export interface ScheduleOptions {
  /**
   * Cron expression, preset (`@hourly`, `@daily`, `@weekly`, `@monthly`, `@quarterly`, `@yearly`), interval, or a
   * list of them. Or `@continuous`: one run after the other, each about a second after the end of the one before.
   */
  readonly schedule?: ScheduleInput | readonly ScheduleInput[];
  /** IANA name; UTC unless told. */
  readonly timezone?: string;
  /**
   * Whether intervals that passed (a stop, a pause, a start date in the past) are made up for; false unless told:
   * then only the latest one of a stop runs, and of a start date in the past none. With limits: so many of the newest,
   * those that ended so long ago at most.
   */
  readonly catchup?: boolean | { readonly atMost?: number; readonly within?: string | number };
  /** First logical date: `"2026-01-01"` (midnight in the timezone), or a time. */
  readonly startDate?: string | Date;
  /** Last logical date; a date alone means all of that day. */
  readonly endDate?: string | Date;
  /** Each run starts so much later at most, by a share that stays the same for an instant; a day at most. */
  readonly jitter?: string | number;
  /** What becomes of times that clocks skip or repeat; `{ missing: 'shift', duplicate: 'first' }` unless told. */
  readonly dst?: Partial<DstPolicies>;
  /** What happens to a run that is due while earlier ones have not ended; as far as `maxActiveRuns` lets it, unless told. */
  readonly overlap?: Overlap['policy'] | Overlap;
  /** Whether a scheduled run waits until the one of the logical date before has succeeded; false unless told. */
  readonly dependsOnPast?: boolean;
}

/** An entry as it was written; what it does not say is the workflow's. */
type ReadEntry =
  | { readonly cron: string; readonly timezone: string | null; readonly dst: DstPolicies | null }
  | { readonly everyMs: number; readonly anchor: unknown };

export interface ReadCatchup {
  readonly catchup: boolean;
  readonly catchupAtMost?: number;
  readonly catchupWithinMs?: number;
}

const scheduleCron: Read<string> = (value) => {
  if (typeof value !== 'string') throw new DefinitionError('must be a cron expression');
  let problem: string | null = null;
  try {
    const comes = localAtOrAfter(readCronFields(value), 0) !== null;
    if (!comes) problem = 'its date never comes';
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  if (problem === null) return value.trim();
  throw new DefinitionError(
    `${JSON.stringify(value)} is not a cron expression such as "0 2 * * *" or "@daily": ${problem}`,
  );
};

const every: Read<number> = (value) => {
  const ms = spanMs(value);
  if (ms >= MIN_EVERY_MS && Number.isInteger(ms)) return ms;
  throw new DefinitionError(`must be a duration of ${formatDuration(MIN_EVERY_MS)} at least`);
};

const dst: Read<DstPolicies | null> = optional((value) => {
  const { missing, duplicate } = readOptions<{
    missing: DstPolicies['missing'] | null;
    duplicate: DstPolicies['duplicate'] | null;
  }>(value, {
    missing: optional(oneOf('shift', 'skip')),
    duplicate: optional(oneOf('first', 'last', 'both', 'none')),
  });
  return {
    missing: missing ?? DEFAULT_DST.missing,
    duplicate: duplicate ?? DEFAULT_DST.duplicate,
  };
});

function entry(value: unknown): ReadEntry {
  if (typeof value === 'string') {
    if (isDuration(value)) return { everyMs: every(value), anchor: undefined };
    return { cron: scheduleCron(value), timezone: null, dst: null };
  }
  if (typeof value === 'object' && value !== null && 'every' in value) {
    if ('cron' in value) throw new DefinitionError('takes "cron" or "every", not both');
    const read = readOptions<{ every: number; anchor: unknown }>(value, {
      every,
      anchor: (anchor) => anchor,
    });
    return { everyMs: read.every, anchor: read.anchor };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DefinitionError(
      'must be a cron expression such as "0 2 * * *", an interval such as "15m", or an object with "cron" or "every"',
    );
  }
  return readOptions<{ cron: string; timezone: string | null; dst: DstPolicies | null }>(value, {
    cron: scheduleCron,
    timezone: optional(timezone),
    dst,
  });
}

function isDuration(text: string): boolean {
  try {
    parseDuration(text);
    return true;
  } catch {
    return false;
  }
}

const CONTINUOUS = '@continuous';

const schedule: Read<readonly ReadEntry[] | typeof CONTINUOUS | null> = optional((value) => {
  if (value === CONTINUOUS) return CONTINUOUS;
  if (!Array.isArray(value)) return [entry(value)];
  if (value.length >= 1 && value.length <= MAX_ENTRIES) {
    return value.map((one, index) => inDefinition(`${index + 1}.`, () => entry(one)));
  }
  throw new DefinitionError(`must be a schedule, or a list of 1 to ${MAX_ENTRIES}`);
});

const catchup: Read<ReadCatchup> = (value = false) => {
  if (typeof value !== 'object' || value === null) return { catchup: flag(false)(value) };
  const { atMost, within } = readOptions<{ atMost: number | null; within: number | null }>(value, {
    atMost: optional(integer(1, MAX_CATCHUP, 1)),
    within: optional(spanMs),
  });
  return {
    catchup: true,
    ...(atMost === null ? {} : { catchupAtMost: atMost }),
    ...(within === null ? {} : { catchupWithinMs: within }),
  };
};

const jitter: Read<number> = (value = 0) => {
  const ms = durationMs()(value);
  if (ms <= MAX_JITTER_MS) return Math.round(ms);
  throw new DefinitionError(`must be at most ${formatDuration(MAX_JITTER_MS)}`);
};

const overlapPolicy = oneOf('queue', 'skip', 'cancel-running', 'allow');

const overlap: Read<Overlap | null> = optional((value) => {
  if (typeof value === 'string') return { policy: overlapPolicy(value) };
  const read = readOptions<{ policy: Overlap['policy']; atMost: number | null }>(value, {
    policy: overlapPolicy,
    atMost: optional(integer(1, 1_000_000, 1)),
  });
  if (read.atMost === null) return { policy: read.policy };
  if (read.policy === 'queue') return { policy: read.policy, atMost: read.atMost };
  throw new DefinitionError('atMost goes with the policy "queue" only');
});

const moment: Read<string | Date | null> = (value) => {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || value instanceof Date) return value;
  throw new DefinitionError('must be a date such as "2026-01-01", or a time');
};

interface ReadSchedule {
  readonly schedule: readonly ReadEntry[] | typeof CONTINUOUS | null;
  readonly timezone: string;
  readonly catchup: ReadCatchup;
  readonly startDate: string | Date | null;
  readonly endDate: string | Date | null;
  readonly jitter: number;
  readonly dst: DstPolicies | null;
  readonly overlap: Overlap | null;
  readonly dependsOnPast: boolean;
}

export const scheduleReaders: { readonly [K in keyof ReadSchedule]: Read<ReadSchedule[K]> } = {
  ...{ schedule, timezone, catchup, jitter, dst, overlap },
  startDate: moment,
  endDate: moment,
  dependsOnPast: flag(false),
};

/**
 * @param given the options as `scheduleReaders` read them; `schedule` may still be the text of one
 * @throws DefinitionError for options that do not go together
 */
export function scheduleOf(
  given: Omit<ReadSchedule, 'schedule'> & { readonly schedule: ReadSchedule['schedule'] | string },
): WorkflowDefinition['schedule'] {
  const written = given.schedule;
  if (written === CONTINUOUS) checkContinuous(given);
  const entries = typeof written === 'string' ? readText(written) : written;
  const read = { ...given, schedule: entries };
  if (read.schedule === null) {
    const { startDate, endDate, catchup, jitter, dst, overlap, dependsOnPast } = read;
    const given = {
      ...{ startDate: startDate !== null, endDate: endDate !== null, overlap: overlap !== null },
      ...{ catchup: catchup.catchup, jitter: jitter > 0, dst: dst !== null, dependsOnPast },
    };
    const needless = Object.entries(given).find(([, isGiven]) => isGiven);
    if (needless) throw new DefinitionError(`${needless[0]}: there is no schedule that it is for`);
    return null;
  }
  const startDate = read.startDate && option('startDate', read.startDate, read.timezone, 'begin');
  const endDate = read.endDate && option('endDate', read.endDate, read.timezone, 'end');
  if (startDate !== null && endDate !== null && startDate > endDate) {
    throw new DefinitionError('endDate: is before startDate');
  }
  return {
    ...(read.schedule === CONTINUOUS
      ? { cron: CONTINUOUS, timezone: read.timezone, continuous: true }
      : entriesOf(read, read.schedule, startDate)),
    ...read.catchup,
    ...(startDate === null ? {} : { startDate }),
    ...(endDate === null ? {} : { endDate }),
    ...(read.jitter === 0 ? {} : { jitterMs: read.jitter }),
    ...(read.overlap === null ? {} : { overlap: read.overlap }),
    ...(read.dependsOnPast ? { dependsOnPast: true } : {}),
  };
}

function readText(text: string): readonly ReadEntry[] | typeof CONTINUOUS {
  return text === CONTINUOUS ? CONTINUOUS : [entry(text)];
}

/** Without instants there is nothing that could be missed, shifted or in each other's way. */
function checkContinuous({ catchup, jitter, dst, overlap }: Omit<ReadSchedule, 'schedule'>): void {
  const given = {
    ...{ catchup: catchup.catchup, jitter: jitter > 0 },
    ...{ dst: dst !== null, overlap: overlap !== null },
  };
  const needless = Object.entries(given).find(([, isGiven]) => isGiven);
  if (needless) throw new DefinitionError(`${needless[0]}: does not go with ${CONTINUOUS}`);
}

function option(name: string, value: unknown, zone: string, side: 'begin' | 'end'): string {
  try {
    return readMoment(value, zone, side);
  } catch (error) {
    throw new DefinitionError(`${name}: ${error instanceof Error ? error.message : error}`);
  }
}

/** The entries with what the workflow says for all of them, and a text for people. */
function entriesOf(
  read: Omit<ReadSchedule, 'schedule'>,
  entries: readonly ReadEntry[],
  startDate: string | null,
): Pick<NonNullable<WorkflowDefinition['schedule']>, 'cron' | 'timezone' | 'schedules' | 'dst'> {
  const [only] = entries;
  if (only && 'cron' in only && entries.length === 1) {
    const own = only.dst ?? read.dst;
    return {
      cron: only.cron,
      timezone: only.timezone ?? read.timezone,
      ...(own === null ? {} : { dst: own }),
    };
  }
  const schedules = entries.map((one): ScheduleEntry => {
    if ('cron' in one) {
      return {
        cron: one.cron,
        timezone: one.timezone ?? read.timezone,
        ...(one.dst === null ? {} : { dst: one.dst }),
      };
    }
    const anchor = one.anchor ?? startDate ?? MONDAY;
    return { everyMs: one.everyMs, anchor: option('anchor', anchor, read.timezone, 'begin') };
  });
  return {
    cron: schedules.map((one) => describeEntry(one, read.timezone)).join('; '),
    timezone: read.timezone,
    schedules,
    ...(read.dst === null ? {} : { dst: read.dst }),
  };
}

function describeEntry(entry: ScheduleEntry, zone: string): string {
  if ('everyMs' in entry) return `every ${formatDuration(entry.everyMs)}`;
  return entry.timezone === zone ? entry.cron : `${entry.cron} (${entry.timezone})`;
}
