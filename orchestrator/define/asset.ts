/**
 * Assets: named data that code makes out of other assets. What downstream code calls an upstream is the name
 * that the module exports it under, the last part of its key, or a name of its own (`dependsOn: { raw }`).
 */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import type { PartitionsDefinition } from '../../domain/partition.ts';
import { codeVersionOf, type Dep, readInputMappings, readUpstreams } from './asset-inputs.ts';
import { readKey } from './asset-key.ts';
import { type AutomationOptions, type AutomationRule, readAutomation } from './automation.ts';
import {
  type CallbackOptions,
  callbackFlow,
  callbackReaders,
  callbacksOf,
  describedCallbacks,
  type HeldOptions,
  heldCallbacksOf,
  heldReaders,
} from './callback.ts';
import { type Check, type CheckOptions, readChecks, type Untyped } from './check.ts';
import type { AssetContext, VALUE } from './context.ts';
import {
  type DeadlineOptions,
  deadlineReaders,
  deadlinesOf,
  describedDeadlines,
} from './deadline.ts';
import { aboutOf, DEFINITION, type Definition, stackHere } from './definition.ts';
import { type IoManager, kindOf, type Row, readIo } from './io.ts';
import {
  DefinitionError,
  flag,
  inDefinition,
  oneOf,
  optional,
  type Read,
  readOptions,
  spanMs,
  text,
} from './options.ts';
import { readPartitions } from './partitions.ts';
import { retryRules } from './retry-rule.ts';
import { cron, scheduleOf } from './schedule.ts';
import {
  type AttemptOptions,
  attemptReaders,
  type JobOptions,
  jobReaders,
  taskDefinition,
} from './task-options.ts';

declare const PARTITIONED: unique symbol;

/** An asset, as others depend on it; carries the type of its value (of one partition), and whether it has partitions. */
export interface Asset<T = unknown, P extends boolean = boolean> extends Definition {
  readonly key: string;
  readonly [VALUE]?: T;
  readonly [PARTITIONED]?: P;
}

export interface FreshnessOptions {
  /** Age of the newest data from which it is a warning. */
  readonly warnAfter?: string | number;
  /** Age of the newest data from which the asset is stale. */
  readonly failAfter?: string | number;
  /** When data must be there at the latest, UTC. */
  readonly deadlineCron?: string;
}

/** Upstreams: a list (also of keys), or an object that gives each its name and its type. */
export type Upstreams =
  | readonly (Asset | Dep | string)[]
  | { readonly [name: string]: Asset | Dep };

export interface AssetOptions<
  D extends Upstreams,
  T,
  P extends PartitionsDefinition | undefined = PartitionsDefinition,
> extends JobOptions,
    AttemptOptions,
    DeadlineOptions,
    CallbackOptions,
    HeldOptions {
  /**
   * What it is made from. One that has partitions gives an asset that has none all of them, as an object by key; between
   * two that have some, the same key or the time that overlaps: `dep(asset, mapping)` says otherwise.
   */
  readonly dependsOn?: D;
  readonly freshness?: FreshnessOptions;
  /** Whether people must be called when it is stale. */
  readonly critical?: boolean;
  /** `last-good` serves the newest good version while a new one cannot be made. */
  readonly fallback?: 'last-good';
  /** Address of the system the data comes from. */
  readonly source?: string;
  /** Cuts it into partitions, each made, failing and growing old by itself: `daily({ start: '2024-01-01' })` … */
  readonly partitions?: P;
  /**
   * Where many partitions are asked for: `each` (unless told) makes a run for each, `range` one run whose code handles
   * all of `ctx.partitionKeys` and returns an object of values by key, or nothing where it stores them itself.
   */
  readonly partitionRuns?: 'each' | 'range';
  /** Changes when the code does what it did not do before; unless told it is a hash of the function. */
  readonly codeVersion?: string;
  /** When it is made without being asked for: `eager()`, `onCron('0 6 * * *')` …, or with options. */
  readonly automation?: AutomationRule | AutomationOptions;
  /** Keeps the values: `jsonFile(…)`, `postgresTable(…)` …; without it Signalbox does, as JSON. */
  readonly io?: IoManager;
  readonly checks?: readonly Check<T>[] | { readonly [name: string]: CheckOptions<T> | Check<T> };
}

/** Values of the upstreams by name. @template Own whether the asset that reads them has partitions itself */
export type Inputs<
  D extends Upstreams,
  Own extends boolean = boolean,
> = D extends readonly unknown[]
  ? Readonly<Record<string, Untyped>>
  : {
      readonly [K in keyof D]: D[K] extends Asset<infer T, infer P>
        ? OfPartitions<Loaded<T>, P, Own>
        : D[K] extends Dep
          ? Untyped
          : unknown;
    };

/** What has no partitions is given all partitions of what has some: an object of values by key. */
type OfPartitions<V, P extends boolean, Own extends boolean> = [P, Own] extends [true, false]
  ? Readonly<Record<string, V>>
  : V;

type IsPartitioned<P> = P extends undefined ? false : true;

/** What was written as a stream of rows is read as one, any number of times. */
type Loaded<T> = T extends AsyncIterable<infer R extends Row> ? AsyncIterable<R> : T;

/**
 * Defines an asset.
 * @param key `namespace/name`
 * @param handler makes the value: JSON, or what the IO manager `io` keeps
 */
export function asset<
  const D extends Upstreams = readonly [],
  T = unknown,
  P extends PartitionsDefinition | undefined = undefined,
>(
  key: string,
  options: AssetOptions<D, T, P>,
  handler: (ctx: AssetContext, inputs: Inputs<D, IsPartitioned<P>>) => T | Promise<T>,
): Asset<T, IsPartitioned<P>> {
  return inDefinition(`asset ${JSON.stringify(key)}`, () => {
    readKey(key);
    if (typeof handler !== 'function') {
      throw new DefinitionError('a function is needed after the options');
    }
    const read = readOptions(options, assetReaders);
    const mappings = readInputMappings(key, read.dependsOn, read.partitions);
    const definition: AssetDefinition = {
      key,
      dependsOn: read.dependsOn.map((input) => input.key),
      source: read.source,
      description: read.description,
      owners: read.owners,
      ...read.freshness,
      critical: read.critical,
      fallback: read.fallback,
      checks: read.checks.map(({ name, blocking, severity }) => ({ name, blocking, severity })),
      io: read.io === null ? null : kindOf(read.io),
      ...(read.partitions === null ? {} : { partitions: read.partitions }),
      ...(read.partitionRuns === 'range' ? { partitionRuns: read.partitionRuns } : {}),
      ...(Object.keys(mappings).length > 0 ? { mappings } : {}),
      codeVersion: read.codeVersion ?? codeVersionOf(handler),
      ...(read.automation === null ? {} : { automation: read.automation }),
    };
    const schedule = scheduleOf(read);
    if (read.onHeld.length > 0 && read.automation === null) {
      throw new DefinitionError(
        'onHeld is for assets that have automation, which may hold them back',
      );
    }
    const callbacks = [...callbacksOf(read, key), ...heldCallbacksOf(read, key)];
    const madeAt = stackHere();
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
        maxActiveRuns: read.maxActiveRuns ?? runsAtATime(key, read),
        tasks: [taskDefinition(key, [], read)],
        asset: definition,
        ...describedDeadlines(deadlinesOf(read, key), schedule),
        ...describedCallbacks(callbacks),
      },
      handlers: new Map([[key, handler]]),
      parse: null,
      retryRules: retryRules([[key, read]]),
      checks: read.checks,
      io: read.io,
      inputs: read.dependsOn,
      companions: callbackFlow({ name: key, queue: read.queue, madeAt }, callbacks),
      madeAt,
    };
  });
}

/** Runs of one partitioned asset at a time, unless told. */
const PARTITIONS_AT_A_TIME = 10;

/** One that goes on from its own partition before makes them one after the other. */
function runsAtATime(
  key: string,
  {
    partitions,
    dependsOn,
  }: { readonly partitions: unknown; readonly dependsOn: readonly { key: string }[] },
): number | null {
  if (partitions === null) return null;
  return dependsOn.some((input) => input.key === key) ? 1 : PARTITIONS_AT_A_TIME;
}

const assetReaders = {
  ...jobReaders,
  ...attemptReaders,
  ...deadlineReaders,
  ...callbackReaders,
  ...heldReaders,
  dependsOn: readUpstreams,
  freshness: readFreshness,
  critical: flag(false),
  fallback: optional(oneOf('last-good')),
  source: optional(text(2_000)),
  io: readIo,
  checks: readChecks,
  partitions: readPartitions,
  partitionRuns: ((value = 'each') => oneOf('each', 'range')(value)) as Read<'each' | 'range'>,
  codeVersion: optional(text(200)),
  automation: readAutomation,
};

export function readFreshness(
  value: unknown = {},
): Pick<AssetDefinition, 'warnAfterMs' | 'failAfterMs' | 'deadlineCron'> {
  const read = readOptions(value, {
    warnAfter: optional(spanMs),
    failAfter: optional(spanMs),
    deadlineCron: optional(cron),
  });
  if (read.warnAfter !== null && read.failAfter !== null && read.warnAfter > read.failAfter) {
    throw new DefinitionError('warnAfter must not be longer than failAfter');
  }
  return {
    warnAfterMs: read.warnAfter,
    failAfterMs: read.failAfter,
    deadlineCron: read.deadlineCron,
  };
}
