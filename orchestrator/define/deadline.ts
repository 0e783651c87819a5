/** Deadlines of workflows, flows and tasks as they are written down. */
import {
  DEADLINE_STARTS,
  type DeadlineDefinition,
  type DeadlineStart,
  MISS_ACTIONS,
  type MissAction,
} from '../../domain/deadline.ts';
import type { WorkflowSchedule } from '../../domain/schedule.ts';
import {
  DefinitionError,
  inDefinition,
  oneOf,
  optional,
  type Read,
  readOptions,
  spanMs,
  text,
} from './options.ts';

/** So long after a moment; `scheduled` unless told. */
export interface DeadlineAfter {
  readonly after: string | number;
  readonly from?: DeadlineStart;
  /** What happens to what is late, beside that it is recorded; `record` unless told. */
  readonly onMiss?: MissAction;
}

/** The first such time of the day after the run was due; in the schedule's timezone unless told. */
export interface DeadlineAt {
  readonly at: string;
  readonly timezone?: string;
  readonly onMiss?: MissAction;
}

export interface DeadlineOptions {
  /** It must have ended so long after the run was due, at the latest: short for `deadline: { after: … }`. */
  readonly sla?: string | number;
  /** When it must have ended. */
  readonly deadline?: DeadlineAfter | DeadlineAt | readonly (DeadlineAfter | DeadlineAt)[];
}

export interface RunDeadlineOptions extends DeadlineOptions {
  /** A run that has been under way for longer is cancelled. */
  readonly maxRuntime?: string | number;
}

type ReadDeadline = Omit<DeadlineDefinition, 'name' | 'task'>;

const MAX_DEADLINES = 10;
const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;

const timeOfDay: Read<string> = (value) => {
  if (typeof value === 'string' && TIME_OF_DAY.test(value)) return value;
  throw new DefinitionError('must be a time of the day such as "06:00"');
};

const timezone: Read<string> = (value) => {
  const name = text(100)(value);
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) && name;
  } catch {
    throw new DefinitionError(`${JSON.stringify(name)} is not a timezone such as "Europe/Berlin"`);
  }
};

const onMiss: Read<MissAction> = (value = 'record') => oneOf(...MISS_ACTIONS)(value);

function readDeadline(value: unknown): ReadDeadline {
  if (typeof value === 'object' && value !== null && 'at' in value) {
    const read = readOptions<{ at: string; timezone: string | null; onMiss: MissAction }>(value, {
      at: timeOfDay,
      timezone: optional(timezone),
      onMiss,
    });
    const { timezone: zone, ...rest } = read;
    return zone === null ? rest : { ...rest, timezone: zone };
  }
  const { after, ...rest } = readOptions<{
    after: number;
    from: DeadlineStart;
    onMiss: MissAction;
  }>(value, {
    after: spanMs,
    from: (from = 'scheduled') => oneOf(...DEADLINE_STARTS)(from),
    onMiss,
  });
  return { afterMs: after, ...rest };
}

const readDeadlines: Read<readonly ReadDeadline[]> = (value) => {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAX_DEADLINES) {
    throw new DefinitionError(`must be at most ${MAX_DEADLINES} deadlines`);
  }
  if (!Array.isArray(value)) return [readDeadline(value)];
  return list.map((one, index) => inDefinition(`${index + 1}.`, () => readDeadline(one)));
};

export const deadlineReaders = { sla: optional(spanMs), deadline: readDeadlines };
export const runDeadlineReaders = { ...deadlineReaders, maxRuntime: optional(spanMs) };

interface ReadOptions {
  readonly sla: number | null;
  readonly deadline: readonly ReadDeadline[];
  readonly maxRuntime?: number | null;
}

/**
 * The deadlines that options declare.
 * @param task key of the task that they are of; undefined for the run
 */
export function deadlinesOf(read: ReadOptions, task?: string): readonly DeadlineDefinition[] {
  const of = task === undefined ? {} : { task };
  const { sla, deadline, maxRuntime = null } = read;
  return [
    ...(sla === null
      ? []
      : [{ name: 'sla', ...of, afterMs: sla, from: 'scheduled', onMiss: 'record' } as const]),
    ...deadline.map((one, index) => ({
      name: index === 0 ? 'deadline' : `deadline-${index + 1}`,
      ...of,
      ...one,
    })),
    ...(maxRuntime === null
      ? []
      : [{ name: 'max-runtime', afterMs: maxRuntime, from: 'started', onMiss: 'cancel' } as const]),
  ];
}

/** Deadlines as a definition says them: a time of the day is in the schedule's timezone, where none was told. */
export function describedDeadlines(
  deadlines: readonly DeadlineDefinition[],
  schedule: WorkflowSchedule | null,
): { readonly deadlines?: readonly DeadlineDefinition[] } {
  if (deadlines.length === 0) return {};
  const zone = schedule?.timezone ?? 'UTC';
  return {
    deadlines: deadlines.map((one) =>
      one.at === undefined || one.timezone !== undefined ? one : { ...one, timezone: zone },
    ),
  };
}
