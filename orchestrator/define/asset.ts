/**
 * Assets: named data that code makes out of other assets. What downstream code calls an upstream is the name
 * that the module exports it under, the last part of its key, or a name of its own (`dependsOn: { raw }`).
 */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import { readKey } from './asset-key.ts';
import { type Check, type CheckOptions, readChecks, type Untyped } from './check.ts';
import type { AssetContext } from './context.ts';
import { DEFINITION, type Definition, isDefinition, stackHere } from './definition.ts';
import { type IoManager, kindOf, type Row, readIo } from './io.ts';
import {
  DefinitionError,
  flag,
  inDefinition,
  oneOf,
  optional,
  readOptions,
  spanMs,
  text,
} from './options.ts';
import { cron, scheduleOf } from './schedule.ts';
import {
  type AttemptOptions,
  attemptReaders,
  type JobOptions,
  jobReaders,
  taskDefinition,
} from './task-options.ts';

declare const VALUE: unique symbol;

/** An asset, as others depend on it; carries the type of its value. */
export interface Asset<T = unknown> extends Definition {
  readonly key: string;
  readonly [VALUE]?: T;
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
export type Upstreams = readonly (Asset | string)[] | { readonly [name: string]: Asset };

export interface AssetOptions<D extends Upstreams, T> extends JobOptions, AttemptOptions {
  readonly dependsOn?: D;
  readonly freshness?: FreshnessOptions;
  /** Whether people must be called when it is stale. */
  readonly critical?: boolean;
  /** `last-good` serves the newest good version while a new one cannot be made. */
  readonly fallback?: 'last-good';
  /** Address of the system the data comes from. */
  readonly source?: string;
  /** Keeps the values: `jsonFile(…)`, `postgresTable(…)` …; without it Signalbox does, at most 1 MiB of JSON. */
  readonly io?: IoManager;
  readonly checks?: readonly Check<T>[] | { readonly [name: string]: CheckOptions<T> | Check<T> };
}

/** Values of the upstreams by name. */
export type Inputs<D extends Upstreams> = D extends readonly unknown[]
  ? Readonly<Record<string, Untyped>>
  : { readonly [K in keyof D]: D[K] extends Asset<infer T> ? Loaded<T> : unknown };

/** What was written as a stream of rows is read as one, any number of times. */
type Loaded<T> = T extends AsyncIterable<infer R extends Row> ? AsyncIterable<R> : T;

/**
 * Defines an asset.
 * @param key `namespace/name`
 * @param handler makes the value: JSON of at most 1 MiB, or what the IO manager `io` keeps
 */
export function asset<const D extends Upstreams = readonly [], T = unknown>(
  key: string,
  options: AssetOptions<D, T>,
  handler: (ctx: AssetContext, inputs: Inputs<D>) => T | Promise<T>,
): Asset<T> {
  return inDefinition(`asset ${JSON.stringify(key)}`, () => {
    readKey(key);
    if (typeof handler !== 'function') {
      throw new DefinitionError('a function is needed after the options');
    }
    const read = readOptions(options, assetReaders);
    if (read.dependsOn.some((input) => input.key === key)) {
      throw new DefinitionError('it depends on itself');
    }
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
    };
    return {
      [DEFINITION]: true,
      name: key,
      key,
      described: {
        name: key,
        kind: 'asset',
        ...(read.description === null ? {} : { description: read.description }),
        tags: read.tags,
        owners: read.owners,
        schedule: scheduleOf(read),
        parameters: null,
        queue: read.queue,
        maxActiveRuns: read.maxActiveRuns,
        tasks: [taskDefinition(key, [], read)],
        asset: definition,
      },
      handlers: new Map([[key, handler]]),
      parse: null,
      checks: read.checks,
      io: read.io,
      inputs: read.dependsOn,
      madeAt: stackHere(),
    };
  });
}

const assetReaders = {
  ...jobReaders,
  ...attemptReaders,
  dependsOn: readUpstreams,
  freshness: readFreshness,
  critical: flag(false),
  fallback: optional(oneOf('last-good')),
  source: optional(text(2_000)),
  io: readIo,
  checks: readChecks,
};

function readUpstreams(value: unknown): Definition['inputs'] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null) {
    throw new DefinitionError('must be a list of assets, or an object of assets by name');
  }
  const named: [string | null, unknown][] = Array.isArray(value)
    ? value.map((one): [null, unknown] => [null, one])
    : Object.entries(value);
  const inputs = named.map(([name, one]) => {
    if (isDefinition(one) && one.described.asset !== null) return { key: one.name, name };
    if (typeof one === 'string') return { key: readKey(one), name };
    throw new DefinitionError('must hold assets, or their keys');
  });
  return inputs.filter(
    (input, index) => inputs.findIndex((one) => one.key === input.key) === index,
  );
}

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
