/**
 * Assets: named data that code makes out of other assets. What downstream code calls an upstream is the name
 * that the module exports it under, the last part of its key, or a name of its own (`dependsOn: { raw }`).
 */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import { type Check, type CheckOptions, readChecks, type Untyped } from './check.ts';
import type { AssetContext } from './context.ts';
import { DEFINITION, type Definition, isDefinition, stackHere } from './definition.ts';
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
  readonly checks?: readonly Check<T>[] | { readonly [name: string]: CheckOptions<T> | Check<T> };
}

/** Values of the upstreams by name. */
export type Inputs<D extends Upstreams> = D extends readonly unknown[]
  ? Readonly<Record<string, Untyped>>
  : { readonly [K in keyof D]: D[K] extends Asset<infer T> ? T : unknown };

/**
 * Defines an asset.
 * @param key `namespace/name`
 * @param handler makes the value, which must be JSON of at most 1 MiB
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
      checks: read.checks.map(({ name, blocking }) => ({ name, blocking })),
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
  checks: readChecks,
};

const KEY = /^[^\s\p{C}]+$/u;
const MAX_KEY = 250;

function readKey(key: unknown): string {
  if (typeof key === 'string' && key.length <= MAX_KEY && KEY.test(key)) return key;
  throw new DefinitionError(
    `an asset key is "namespace/name" without spaces, at most ${MAX_KEY} characters`,
  );
}

function readUpstreams(value: unknown): Definition['inputs'] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null) {
    throw new DefinitionError('must be a list of assets, or an object of assets by name');
  }
  const named: [string | null, unknown][] = Array.isArray(value)
    ? value.map((one): [null, unknown] => [null, one])
    : Object.entries(value);
  const inputs = named.map(([name, one]) => {
    if (isDefinition(one) && one.described.kind === 'asset') return { key: one.name, name };
    if (typeof one === 'string') return { key: readKey(one), name };
    throw new DefinitionError('must hold assets, or their keys');
  });
  return inputs.filter(
    (input, index) => inputs.findIndex((one) => one.key === input.key) === index,
  );
}

function readFreshness(
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
