/**
 * Assets that no handler of their own makes: a task of a workflow does (`produces`), or another system that tells of
 * it. Declared here they have an owner, a policy, partitions and lineage like any other.
 */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import type { PartitionsDefinition } from '../../domain/partition.ts';
import { type Asset, type FreshnessOptions, readFreshness, type Upstreams } from './asset.ts';
import { readInputMappings, readUpstreams } from './asset-inputs.ts';
import { readKey } from './asset-key.ts';
import { type Check, type CheckOptions, readChecks } from './check.ts';
import { aboutOf, DEFINITION, stackHere } from './definition.ts';
import { type IoManager, kindOf, readIo } from './io.ts';
import { flag, inDefinition, oneOf, optional, readOptions, text, texts } from './options.ts';
import { readPartitions } from './partitions.ts';
import { attemptReaders, taskDefinition } from './task-options.ts';

export interface ExternalAssetOptions<T = unknown> {
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly owners?: readonly string[];
  readonly dependsOn?: Upstreams;
  readonly freshness?: FreshnessOptions;
  readonly critical?: boolean;
  readonly fallback?: 'last-good';
  /** Address of the system the data comes from. */
  readonly source?: string;
  readonly partitions?: PartitionsDefinition;
  /** Keeps what the task returns: `jsonFile(…)`, `postgresTable(…)` …; without it Signalbox does, as JSON. */
  readonly io?: IoManager;
  /** Look at what the task returns, before it is the version that others read. */
  readonly checks?: readonly Check<T>[] | { readonly [name: string]: CheckOptions<T> | Check<T> };
}

/**
 * Declares an asset that a task of a workflow makes: `w.task('load', { produces: [orders] }, …)`; what the task returns
 * is its value.
 * @param key `namespace/name`
 */
export function externalAsset<T = unknown>(
  key: string,
  options: ExternalAssetOptions<T> & { readonly partitions: PartitionsDefinition },
): Asset<T, true>;
export function externalAsset<T = unknown>(
  key: string,
  options?: ExternalAssetOptions<T>,
): Asset<T>;
export function externalAsset<T = unknown>(
  key: string,
  options: ExternalAssetOptions<T> = {},
): Asset<T> {
  return inDefinition(`external asset ${JSON.stringify(key)}`, () => {
    readKey(key);
    const read = readOptions(options, readers);
    const mappings = readInputMappings(key, read.dependsOn, read.partitions);
    const definition: AssetDefinition = {
      ...{ key, source: read.source, description: read.description, owners: read.owners },
      dependsOn: read.dependsOn.map((input) => input.key),
      ...{ ...read.freshness, critical: read.critical, fallback: read.fallback },
      checks: read.checks.map(({ name, blocking, severity }) => ({ name, blocking, severity })),
      ...(read.io === null ? {} : { io: kindOf(read.io) }),
      ...(read.partitions === null ? {} : { partitions: read.partitions }),
      ...(Object.keys(mappings).length > 0 ? { mappings } : {}),
      madeElsewhere: true,
    };
    return {
      [DEFINITION]: true,
      name: key,
      key,
      described: {
        name: key,
        kind: 'asset',
        ...aboutOf(read),
        ...{ schedule: null, parameters: null, queue: 'default', maxActiveRuns: null },
        tasks: [taskDefinition(key, [], readOptions({}, attemptReaders))],
        asset: definition,
      },
      handlers: new Map(),
      parse: null,
      checks: read.checks,
      io: read.io,
      inputs: [],
      madeAt: stackHere(),
    };
  });
}

const readers = {
  description: optional(text(10_000)),
  tags: texts,
  owners: texts,
  dependsOn: readUpstreams,
  freshness: readFreshness,
  critical: flag(false),
  fallback: optional(oneOf('last-good')),
  source: optional(text(2_000)),
  partitions: readPartitions,
  io: readIo,
  checks: readChecks,
};
