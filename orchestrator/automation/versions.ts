/** Versions of assets and of the partitions that they need of their upstreams, put together out of rows. */
import {
  effectiveMapping,
  type MappingMoment,
  upstreamKeys,
} from '../assets/partitions/mapping.ts';
import { hashText } from '../assets/partitions/place.ts';
import {
  type AssetFactRow,
  type FailureFact,
  type PartitionFactRow,
  readPartitionFacts,
} from '../store/automation-facts.ts';
import type { Tx } from '../store/connection.ts';
import {
  type CheckFact,
  type Failing,
  failedOf,
  nodeName,
  type OwnFacts,
  type UpstreamFacts,
} from './facts.ts';
import type { Network } from './network.ts';
import type { Busy } from './under-way.ts';

/** Partitions of one upstream that are looked at one by one; of more, the newest version counts. */
const MAX_APART = 400;

/** What a subject needs of an upstream. */
export interface Need {
  readonly upstream: string;
  /** Null where it is one whole, or all of its partitions are needed. */
  readonly partitions: readonly string[] | null;
  readonly whole: boolean;
}

export interface World {
  readonly assets: ReadonlyMap<string, AssetFactRow>;
  readonly busy: ReadonlyMap<string, Busy>;
  /** By asset and partition. */
  readonly versions: ReadonlyMap<string, PartitionFactRow>;
  readonly producers: ReadonlyMap<string, readonly string[]>;
  readonly checks: ReadonlyMap<string, readonly CheckFact[]>;
  /** Names in production, by stored name, of what a branch may read there. */
  readonly elsewhere: ReadonlyMap<string, string>;
}

/** What a partition of an asset (null for one whole) needs of the asset's upstreams. */
export function needsOf(
  key: string,
  partition: string | null,
  { into }: Network,
  { assets, elsewhere }: Pick<World, 'assets' | 'elsewhere'>,
  moment: MappingMoment,
): readonly Need[] {
  const downstream = assets.get(key)?.[2] ?? null;
  return (into.get(key) ?? []).map(([upstream, , mapping]) => {
    // A branch that does not define an upstream reads production's, which may be cut.
    const row = assets.get(upstream);
    const defined = row?.[1] ? row : (assets.get(elsewhere.get(upstream) ?? '') ?? row);
    const sides = { upstream: defined?.[2] ?? null, downstream, mapping };
    return needOf(upstream, sides, partition, moment);
  });
}

function needOf(
  upstream: string,
  sides: Parameters<typeof effectiveMapping>[0],
  partition: string | null,
  moment: MappingMoment,
): Need {
  if (sides.upstream === null) return { upstream, partitions: null, whole: false };
  if (effectiveMapping(sides).kind === 'all') return { upstream, partitions: null, whole: true };
  const keys = upstreamKeys(sides, partition, moment) ?? [];
  return keys.length > MAX_APART
    ? { upstream, partitions: null, whole: true }
    : { upstream, partitions: keys, whole: false };
}

/** Rows of all partitions that are looked at or needed. */
export async function readVersions(
  tx: Tx,
  {
    needs,
    own,
    partitions,
    elsewhere,
  }: {
    readonly needs: ReadonlyMap<string, readonly Need[]>;
    readonly own: readonly string[];
    readonly partitions: ReadonlyMap<string, readonly (string | null)[]>;
    readonly elsewhere: World['elsewhere'];
  },
): Promise<World['versions']> {
  const wanted = new Map<string, readonly [string, string]>();
  const want = (key: string, partition: string) =>
    wanted.set(nodeName(key, partition), [key, partition]);
  for (const [key, keys] of partitions) {
    for (const partition of keys) if (partition !== null) want(key, partition);
  }
  for (const of of needs.values()) {
    for (const { upstream, partitions: keys } of of) {
      const there = elsewhere.get(upstream);
      for (const one of keys ?? []) {
        want(upstream, one);
        if (there !== undefined) want(there, one);
      }
    }
  }
  const rows = await readPartitionFacts(tx, [...wanted.values()], own);
  return new Map(rows.map((row) => [nodeName(row[0], row[1]), row]));
}

type OwnVersion = Omit<OwnFacts, 'codeVersion' | 'freshness' | 'checks' | 'stale' | 'requestEnded'>;

/** The newest version of an asset, or of a partition of it, and what makes it now. */
export function ownVersion(key: string, partition: string | null, world: World): OwnVersion {
  const { assets, busy, versions } = world;
  const row = assets.get(key);
  if (partition === null) {
    const [id, recordedAt, runId, , codeVersion, inputs] = row?.[12] ?? [];
    return {
      ...{ marker: id ?? null, recordedAt: recordedAt ?? null, runId: runId ?? null },
      ...{ madeByCode: codeVersion ?? null, inputs: inputs ?? null },
      failed: row ? failingOf(row[10], row[11]?.runId ?? null, row[11]) : null,
      inProgress: busy.get(key)?.whole ?? null,
    };
  }
  const of = versions.get(nodeName(key, partition));
  const [, , id, recordedAt, runId, , codeVersion, failedAt, failedRun, failure, inputs] = of ?? [];
  return {
    ...{ marker: id ?? null, recordedAt: recordedAt ?? null, runId: runId ?? null },
    ...{ madeByCode: codeVersion ?? null, inputs: inputs ?? null },
    failed: failingOf(failedAt ?? null, failedRun ?? null, failure ?? null),
    inProgress: busy.get(key)?.partitions.get(partition) ?? null,
  };
}

function failingOf(
  at: number | null,
  runId: string | null,
  failure: FailureFact | null,
): Failing | null {
  if (at === null) return null;
  const { message } = (failure?.error ?? {}) as { message?: unknown };
  return { at, runId, message: String(message ?? failure?.state ?? 'it failed').slice(0, 500) };
}

export function toUpstream(
  { upstream: key, partitions, whole }: Need,
  world: World,
): UpstreamFacts {
  const row = world.assets.get(key);
  const busy = world.busy.get(key);
  const there = world.assets.get(world.elsewhere.get(key) ?? '');
  const failedChecks = failedOf(world.checks.get(key) ?? []);
  const madeElsewhere = row !== undefined && !row[1] && !world.producers.has(key);
  const known = row !== undefined || there !== undefined;
  const base = { known, key, partitions, whole, failedChecks, madeElsewhere };
  if (partitions !== null) return ofPartitions(base, partitions, world);
  const latest = row ? latestOf(row) : null;
  const readable = latest ?? (there ? latestOf(there) : null);
  return {
    ...base,
    marker: latest?.marker ?? null,
    recordedAt: readable?.recordedAt ?? null,
    runId: latest?.runId ?? null,
    versions: latest && !whole ? [[null, latest.id, latest.dataVersion]] : [],
    missing: readable !== null ? null : '',
    failed: row ? failingOf(row[10], row[11]?.runId ?? null, row[11]) : null,
    inProgress: busy?.whole ?? null,
  };
}

/** The newest version, or what was seen of data made elsewhere, whichever came later. */
function latestOf(row: AssetFactRow) {
  const [version, observation] = [row[12], row[13]];
  if (observation && (!version || observation[1] > version[1])) {
    const [dataVersion, changedAt, runId, id] = observation;
    // Data that was looked at again and is the same is no update: it is as old as when it was seen first.
    const marker = `seen:${dataVersion ?? changedAt}`;
    return { marker, recordedAt: changedAt, runId, id, dataVersion: dataVersion ?? id };
  }
  if (!version) return null;
  const [id, recordedAt, runId, dataVersion] = version;
  return { marker: id, recordedAt, runId, id, dataVersion: dataVersion ?? id };
}

function ofPartitions(
  base: Pick<
    UpstreamFacts,
    'key' | 'partitions' | 'whole' | 'failedChecks' | 'known' | 'madeElsewhere'
  >,
  partitions: readonly string[],
  { versions, busy, elsewhere }: World,
): UpstreamFacts {
  const { key } = base;
  const there = elsewhere.get(key);
  const isThere = (one: string) =>
    there !== undefined && (versions.get(nodeName(there, one))?.[2] ?? null) !== null;
  const rows = partitions.map((one) => versions.get(nodeName(key, one)));
  const made = rows.flatMap((row) => (row && row[2] !== null ? [row] : []));
  const newest = made.reduce<PartitionFactRow | null>(
    (most, row) => (most === null || (row[3] ?? 0) > (most[3] ?? 0) ? row : most),
    null,
  );
  const ids = made.map(([, partition, id]) => `${partition}=${id}`);
  const failed = rows.find((row) => row && row[7] !== null);
  const missing = partitions.find(
    (one, index) => (rows[index]?.[2] ?? null) === null && !isThere(one),
  );
  const running = busy.get(key)?.partitions;
  return {
    ...base,
    marker:
      made.length === 0
        ? null
        : made.length === 1
          ? (newest?.[2] ?? null)
          : hashText(ids.join(',')),
    recordedAt: newest?.[3] ?? null,
    runId: newest?.[4] ?? null,
    versions: made.map(([, partition, id, , , dataVersion]) => [
      partition,
      id ?? '',
      dataVersion ?? id ?? '',
    ]),
    missing: missing ?? null,
    failed: failed ? failingOf(failed[7], failed[8], failed[9]) : null,
    inProgress: partitions.map((one) => running?.get(one)).find((one) => one !== undefined) ?? null,
  };
}
