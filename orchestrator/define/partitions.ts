/**
 * How users cut assets into partitions, and say which partitions of an upstream a partition is made from:
 *
 *   partitions: daily({ start: '2024-01-01', timezone: 'Europe/Berlin' })
 *   partitions: multiPartitions({ day: daily({ start: '2024-01-01' }), region: staticPartitions(['eu', 'us']) })
 *   dependsOn: { yesterday: dep(orders, timeWindow({ offset: -1 })) }
 */
import type {
  DynamicPartitions,
  MultiPartitions,
  PartitionMapping,
  PartitionsDefinition,
  PartitionUnit,
  SinglePartitions,
  StaticPartitions,
  TimePartitions,
} from '../../domain/partition.ts';
import { KEY_SEPARATOR } from '../../domain/partition.ts';
import { instantOf } from '../assets/partitions/time-line.ts';
import {
  DefinitionError,
  inDefinition,
  integer,
  optional,
  type Read,
  readOptions,
} from './options.ts';
import { cron as readCron, scheduleReaders } from './schedule.ts';

export interface TimePartitionOptions {
  /** Date (in the timezone) or RFC 3339 from which on there are partitions. */
  readonly start: string;
  /** Date or RFC 3339 at which the last one ends; open unless told. */
  readonly end?: string;
  /** IANA name; UTC unless told. Days begin at midnight there. */
  readonly timezone?: string;
  /**
   * Partitions beyond the last complete one that are expected; 1 counts the day (week, month) that is in progress, −1
   * leaves the last complete one out. One in progress is made from those partitions of its upstreams that should be
   * there by now, and again as more of them come.
   */
  readonly endOffset?: number;
}

export interface WeeklyOptions extends TimePartitionOptions {
  /** First day, 0 for Sunday (unless told) to 6. */
  readonly weekStart?: number;
}

const MAX_KEYS = 100_000;
const MAX_KEY_LENGTH = 250;
const MAX_OFFSET = 10_000;
const LAST_WEEKDAY = 6;

/** A partition for each day; its key is the date: `2024-01-31`. */
export function daily(options: TimePartitionOptions): TimePartitions {
  return timePartitions('daily', 'day', options);
}

/** A partition for each hour; its key is the local time with its offset: `2024-01-31T13:00Z`. */
export function hourly(options: TimePartitionOptions): TimePartitions {
  return timePartitions('hourly', 'hour', options);
}

/** A partition for each week; its key is the date of its first day. */
export function weekly(options: WeeklyOptions): TimePartitions {
  return timePartitions('weekly', 'week', options);
}

/** A partition for each month; its key is `2024-01`. */
export function monthly(options: TimePartitionOptions): TimePartitions {
  return timePartitions('monthly', 'month', options);
}

/** A partition between any two instants of a cron expression. */
export function cronPartitions(cron: string, options: TimePartitionOptions): TimePartitions {
  return inDefinition('cronPartitions', () => ({
    ...timePartitions('cronPartitions', 'cron', options),
    cron: readCron(cron),
  }));
}

/** A fixed list of keys. */
export function staticPartitions(keys: readonly string[]): StaticPartitions {
  return inDefinition('staticPartitions', () => {
    if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
      throw new DefinitionError(`a list of 1 to ${MAX_KEYS} keys is needed`);
    }
    const read = keys.map(partitionKey);
    if (new Set(read).size < read.length) throw new DefinitionError('a key is in it twice');
    return { kind: 'static', keys: read };
  });
}

/** A list of keys that grows and shrinks by the API, the command line, or `ctx.addPartitions`. */
export function dynamicPartitions(name: string): DynamicPartitions {
  return inDefinition('dynamicPartitions', () => ({ kind: 'dynamic', name: partitionKey(name) }));
}

/** Two dimensions; a partition is of a key of each. */
export function multiPartitions(
  dimensions: Readonly<Record<string, SinglePartitions>>,
): MultiPartitions {
  return inDefinition('multiPartitions', () => {
    const entries = Object.entries(dimensions ?? {});
    if (entries.length !== 2) throw new DefinitionError('two dimensions are needed');
    return {
      kind: 'multi',
      dimensions: entries.map(([name, value]) => {
        const partitions = readPartitions(value);
        if (partitions === null || partitions.kind === 'multi') {
          throw new DefinitionError(
            `${name}: must be daily(…), staticPartitions([…]) and the like`,
          );
        }
        return { name: partitionKey(name), partitions };
      }),
    };
  });
}

function timePartitions(
  place: string,
  every: PartitionUnit,
  options: WeeklyOptions,
): TimePartitions {
  return inDefinition(place, () => {
    const read = readOptions(options, {
      start: momentText,
      end: optional(momentText),
      timezone: scheduleReaders.timezone,
      endOffset: integer(-MAX_OFFSET, MAX_OFFSET, 0),
      weekStart: integer(0, LAST_WEEKDAY, 0),
    });
    const { start, end, timezone } = read;
    if (end !== null && instantOf(end, timezone) <= instantOf(start, timezone)) {
      throw new DefinitionError('end must be later than start');
    }
    return {
      kind: 'time',
      every,
      cron: null,
      timezone,
      start,
      end,
      ...(every === 'week' ? { weekStart: read.weekStart } : {}),
      ...(read.endOffset === 0 ? {} : { endOffset: read.endOffset }),
    };
  });
}

const momentText: Read<string> = (value) => {
  if (typeof value === 'string' && !Number.isNaN(instantOf(value, 'UTC'))) return value;
  throw new DefinitionError('must be a date such as "2024-01-01", or RFC 3339');
};

const KEY = /^[^\p{C}|]+$/u;

function partitionKey(value: unknown): string {
  if (typeof value === 'string' && value.length <= MAX_KEY_LENGTH && KEY.test(value)) return value;
  throw new DefinitionError(
    `a partition's key is a text of 1 to ${MAX_KEY_LENGTH} characters without "${KEY_SEPARATOR}"`,
  );
}

const KINDS = ['time', 'static', 'dynamic', 'multi'];

/** Reads the option `partitions`. */
export function readPartitions(value: unknown): PartitionsDefinition | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'object' && 'kind' in value && KINDS.includes(String(value.kind))) {
    return value as PartitionsDefinition;
  }
  throw new DefinitionError(
    'must be daily(…), hourly(…), weekly(…), monthly(…), cronPartitions(…), staticPartitions([…]), dynamicPartitions(name) or multiPartitions({…})',
  );
}

// Mappings --------------------------------------------------------------------------------------------------

export interface TimeWindowOptions {
  /** Moves the window by so many partitions of the upstream; −1 is the one before. */
  readonly offset?: number;
  /** Moves where it begins: −6 with `endOffset: 0` are seven partitions. */
  readonly startOffset?: number;
  readonly endOffset?: number;
}

/** The upstream's partitions whose time overlaps: of a month its days, of a day its hours, with an offset those before. */
export function timeWindow(options: TimeWindowOptions = {}): PartitionMapping {
  return inDefinition('timeWindow', () => {
    const offset = integer(-MAX_OFFSET, MAX_OFFSET, 0);
    const read = readOptions(options, {
      offset,
      startOffset: optional(offset),
      endOffset: optional(offset),
    });
    const startOffset = read.startOffset ?? read.offset;
    const endOffset = read.endOffset ?? read.offset;
    if (startOffset > endOffset)
      throw new DefinitionError('startOffset must not be after endOffset');
    return { kind: 'time', startOffset, endOffset };
  });
}

/** The partition of the same key. */
export function samePartition(): PartitionMapping {
  return { kind: 'same' };
}

/** All partitions that should be there by now. */
export function allPartitions(): PartitionMapping {
  return { kind: 'all' };
}

/** The newest partition. */
export function lastPartition(): PartitionMapping {
  return { kind: 'last' };
}

/** These partitions, whatever is made of them. */
export function specificPartitions(keys: readonly string[]): PartitionMapping {
  return inDefinition('specificPartitions', () => {
    if (!Array.isArray(keys) || keys.length === 0) throw new DefinitionError('keys are needed');
    return { kind: 'specific', keys: [...keys] };
  });
}

/** By a table: each key of the upstream with the key, or keys, that it is for. */
export function staticMapping(
  map: Readonly<Record<string, string | readonly string[]>>,
): PartitionMapping {
  return inDefinition('staticMapping', () => ({
    kind: 'static',
    map: Object.fromEntries(
      Object.entries(map).map(([upstream, keys]) => [
        upstream,
        typeof keys === 'string' ? [keys] : [...keys],
      ]),
    ),
  }));
}

/** By the dimension of this name of whichever side has two. */
export function byDimension(dimension: string): PartitionMapping {
  return { kind: 'dimension', dimension };
}

const MAPPINGS = ['same', 'time', 'all', 'last', 'specific', 'static', 'dimension'];

export function readMapping(value: unknown): PartitionMapping {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : null;
  if (MAPPINGS.includes(String(kind))) return value as PartitionMapping;
  throw new DefinitionError(
    'must be timeWindow(…), samePartition(), allPartitions(), lastPartition(), specificPartitions([…]), staticMapping({…}) or byDimension(name)',
  );
}
