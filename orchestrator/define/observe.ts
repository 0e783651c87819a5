/**
 * Data that is made elsewhere and looked at from here: an observation says how new it is, and which version of it
 * is there, without making one.
 */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import { parseDuration } from '../../domain/time.ts';
import { type Asset, type FreshnessOptions, readFreshness } from './asset.ts';
import { readKey } from './asset-key.ts';
import {
  type CallbackOptions,
  callbackFlow,
  callbackReaders,
  callbacksOf,
  describedCallbacks,
} from './callback.ts';
import { type Check, type CheckOptions, readChecks } from './check.ts';
import type { RunContext } from './context.ts';
import {
  type DeadlineOptions,
  deadlineReaders,
  deadlinesOf,
  describedDeadlines,
} from './deadline.ts';
import { aboutOf, DEFINITION, stackHere } from './definition.ts';
import { type IoManager, kindOf, readIo } from './io.ts';
import { DefinitionError, flag, inDefinition, optional, readOptions, text } from './options.ts';
import { retryRules } from './retry-rule.ts';
import { scheduleOf } from './schedule.ts';
import {
  type AttemptOptions,
  attemptReaders,
  type JobOptions,
  jobReaders,
  taskDefinition,
} from './task-options.ts';

/** What somebody saw who looked at the data. */
export interface Seen {
  /** How new the newest data is. */
  readonly eventTime?: string | Date;
  /** Changes when the data does: a hash, a count, a modification time. */
  readonly dataVersion?: string | number;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface ObserveOptions<T>
  extends JobOptions,
    AttemptOptions,
    DeadlineOptions,
    CallbackOptions {
  /** Time between two looks, which divides a minute, an hour or a day: `30s`, `5m`, `6h`. Or give a `schedule`. */
  readonly every?: string | number;
  readonly freshness?: FreshnessOptions;
  readonly critical?: boolean;
  /** Address of the system the data is in. */
  readonly source?: string;
  /** How assets that depend on it read the data; without it their input is undefined. */
  readonly io?: IoManager;
  readonly checks?: readonly Check<T>[] | { readonly [name: string]: CheckOptions<T> | Check<T> };
}

/**
 * Defines data made elsewhere that is looked at from here (an observable source).
 * @param key `namespace/name`
 * @param look tells what is there
 */
export function observe<T = unknown>(
  key: string,
  options: ObserveOptions<T>,
  look: (ctx: RunContext<Record<string, unknown>>) => Seen | Promise<Seen>,
): Asset<T> {
  return inDefinition(`observation ${JSON.stringify(key)}`, () => {
    readKey(key);
    if (typeof look !== 'function') {
      throw new DefinitionError('a function is needed after the options');
    }
    const read = readOptions(options, readers);
    if (read.every !== null && read.schedule !== null) {
      throw new DefinitionError('give every or schedule, not both');
    }
    const every = read.every === null ? read.schedule : jobReaders.schedule(read.every);
    const schedule = scheduleOf({ ...read, schedule: every });
    const callbacks = callbacksOf(read, key);
    const madeAt = stackHere();
    const definition: AssetDefinition = {
      ...{ key, dependsOn: [], source: read.source, description: read.description },
      ...{ owners: read.owners, ...read.freshness, critical: read.critical, fallback: null },
      checks: read.checks.map(({ name, blocking, severity }) => ({ name, blocking, severity })),
      io: read.io === null ? null : kindOf(read.io),
      observed: true,
    };
    return {
      [DEFINITION]: true,
      name: key,
      key,
      described: {
        name: key,
        kind: 'asset',
        ...aboutOf(read),
        schedule,
        parameters: null,
        queue: read.queue,
        maxActiveRuns: read.maxActiveRuns,
        tasks: [taskDefinition(key, [], read)],
        asset: definition,
        ...describedDeadlines(deadlinesOf(read, key), schedule),
        ...describedCallbacks(callbacks),
      },
      handlers: new Map([[key, look]]),
      parse: null,
      retryRules: retryRules([[key, read]]),
      checks: read.checks,
      io: read.io,
      inputs: [],
      companions: callbackFlow({ name: key, queue: read.queue, madeAt }, callbacks),
      madeAt,
    };
  });
}

const readers = {
  ...jobReaders,
  ...attemptReaders,
  ...deadlineReaders,
  ...callbackReaders,
  every: optional(cronOfSpan),
  freshness: readFreshness,
  critical: flag(false),
  source: optional(text(2_000)),
  io: readIo,
  checks: readChecks,
};

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The cron expression of a span that divides a minute, an hour or a day. */
function cronOfSpan(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new DefinitionError('must be a duration such as "5m"');
  }
  const ms = parseDuration(value);
  if (ms === DAY) return '0 0 * * *';
  if (ms >= HOUR && DAY % ms === 0 && ms % HOUR === 0) return `0 */${ms / HOUR} * * *`;
  if (ms >= MINUTE && HOUR % ms === 0 && ms % MINUTE === 0) return `*/${ms / MINUTE} * * * *`;
  if (ms >= SECOND && MINUTE % ms === 0 && ms % SECOND === 0) return `*/${ms / SECOND} * * * * *`;
  throw new DefinitionError(
    'must divide a minute, an hour or a day, as "30s", "5m" and "6h" do; else give a schedule',
  );
}
