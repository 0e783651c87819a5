/**
 * Why assets should be made anew: their code has changed, an upstream's data has, or an upstream should be made anew
 * itself. A version remembers which versions it was made from, so that the same data made again changes nothing.
 * All assets are judged at once and kept until something is recorded or registered.
 */
import type { StaleCause } from '../../domain/partition.ts';
import type { Db } from '../store/connection.ts';
import { type InputRow, readVersionStates } from '../store/partition.ts';
import {
  type AssetVersionRow,
  type MappedEdge,
  readAssetVersions,
  readCurrentPartitions,
  readEdgesInto,
  readMappedEdges,
  readStalenessEpoch,
  readVersionsOf,
} from '../store/staleness.ts';
import { append } from './order.ts';
import { isPacked } from './partitions/inputs.ts';
import { effectiveMapping, givesMany, type Sides } from './partitions/mapping.ts';
import { reachesNewest } from './partitions/time-mapping.ts';

/** Causes that are told of one asset or partition. */
const MAX_CAUSES = 20;

/** A version that is judged. */
interface Judged {
  readonly partition: string | null;
  readonly versionId: string;
  readonly codeVersion: string | null;
  readonly inputs: readonly InputRow[] | null;
}

/** What upstreams have now. */
interface World {
  readonly assets: ReadonlyMap<string, AssetVersionRow>;
  /** Present data version by asset and partition with a line break between. */
  readonly partitions: ReadonlyMap<string, { readonly id: string; readonly dataVersion: string }>;
}

export interface Staleness {
  /** Of all assets that should be made anew; of a partitioned one, its newest partition. */
  all(): Promise<ReadonlyMap<string, readonly StaleCause[]>>;
  /** Of partitions of an asset (all that were made where null), by key. */
  ofPartitions(
    key: string,
    partitions: readonly string[] | null,
  ): Promise<ReadonlyMap<string, readonly StaleCause[]>>;
}

export function createStaleness(db: Db): Staleness {
  let kept: { epoch: string; causes: ReadonlyMap<string, readonly StaleCause[]> } | undefined;
  return {
    async all() {
      const epoch = await readStalenessEpoch(db);
      if (kept?.epoch !== epoch) kept = { epoch, causes: await judgeAll(db) };
      return kept.causes;
    },
    async ofPartitions(key, partitions) {
      const [edges, versions] = await Promise.all([
        readEdgesInto(db, key),
        readVersionStates(db, key, partitions),
      ]);
      const rows = await readVersionsOf(db, [key, ...edges.map(([upstream]) => upstream)]);
      const assets = new Map(rows.map((row) => [row[0], row]));
      const own = assets.get(key);
      if (!own) return new Map();
      const inputs = versions.flatMap((version) => version[4] ?? []);
      const world = { assets, partitions: await currentOf(db, assets, inputs) };
      return new Map(
        versions.map(([partition, versionId, , codeVersion, read]) => [
          partition,
          causesOf(own, { partition, versionId, codeVersion, inputs: read }, edges, world),
        ]),
      );
    },
  };
}

async function judgeAll(db: Db): Promise<ReadonlyMap<string, readonly StaleCause[]>> {
  const [rows, edges] = await Promise.all([readAssetVersions(db), readMappedEdges(db)]);
  const assets = new Map(rows.map((row) => [row[0], row]));
  const inputs = rows.flatMap((row) => row[8] ?? []);
  const world = { assets, partitions: await currentOf(db, assets, inputs) };
  const into = new Map<string, MappedEdge[]>();
  const above = new Map<string, string[]>();
  for (const edge of edges) {
    const [upstream, downstream] = edge;
    const known = into.get(downstream);
    if (known) known.push(edge);
    else into.set(downstream, [edge]);
    append(above, downstream, upstream);
  }
  const causes = new Map<string, readonly StaleCause[]>();
  for (const row of rows) {
    const [key, madeHere, , , versionId, partition, , codeVersion, read] = row;
    const edgesInto = into.get(key) ?? [];
    if (!madeHere) continue;
    const found =
      versionId === null
        ? [neverMade()]
        : causesOf(row, { partition, versionId, codeVersion, inputs: read }, edgesInto, world);
    if (found.length > 0) causes.set(key, found);
  }
  return spread(causes, above);
}

/** Present versions of the partitions that the inputs name, but for those that the assets' rows tell already. */
async function currentOf(
  db: Db,
  assets: ReadonlyMap<string, AssetVersionRow>,
  inputs: readonly InputRow[],
): Promise<World['partitions']> {
  const wanted = new Map<string, readonly [string, string]>();
  for (const input of inputs) {
    const [asset, partition] = input;
    if (partition !== null && assets.get(asset)?.[2])
      wanted.set(nameOf(asset, partition), [asset, partition]);
  }
  const rows = await readCurrentPartitions(db, [...wanted.values()]);
  return new Map(
    rows.map(([asset, partition, id, dataVersion]) => [
      nameOf(asset, partition),
      { id, dataVersion },
    ]),
  );
}

function causesOf(
  [, , partitions, codeVersion]: AssetVersionRow,
  version: Judged,
  edges: readonly MappedEdge[],
  world: World,
): readonly StaleCause[] {
  const causes: StaleCause[] = [];
  if (codeVersion !== null && version.codeVersion !== null && codeVersion !== version.codeVersion) {
    causes.push(
      cause(
        'code-changed',
        null,
        null,
        `its code is version ${codeVersion}, it was made by ${version.codeVersion}`,
      ),
    );
  }
  const byUpstream = Map.groupBy(version.inputs ?? [], (input) => input[0]);
  const dependsOn = new Set(edges.map(([upstream]) => upstream));
  for (const [upstream, , mapping] of edges) {
    const row = world.assets.get(upstream);
    if (!row) continue;
    const read = byUpstream.get(upstream);
    const changed = read
      ? changedInput(read, row, world)
      : version.inputs === null && (lastIdOf(row) ?? '') > version.versionId && { partition: null };
    const grown =
      read &&
      !changed &&
      hasGrown(read, row, version.partition, { upstream: row[2], downstream: partitions, mapping });
    if (!changed && !grown) continue;
    const partition = changed ? changed.partition : null;
    const what = partition === null ? upstream : `${upstream}, partition ${partition},`;
    causes.push(cause('upstream-changed', upstream, partition, `${what} has new data`));
    if (causes.length >= MAX_CAUSES) return causes;
  }
  for (const upstream of byUpstream.keys()) {
    if (dependsOn.has(upstream) || dependsOn.size === 0) continue;
    causes.push(cause('upstream-removed', upstream, null, `it was made from ${upstream} as well`));
  }
  return causes.slice(0, MAX_CAUSES);
}

/** The first input whose data is another by now; false where all are the same. */
function changedInput(
  read: readonly InputRow[],
  upstream: AssetVersionRow,
  world: World,
): { readonly partition: string | null } | false {
  for (const input of read) {
    const [asset, partition, id, dataVersion] = input;
    if (isPacked(input)) {
      if ((lastIdOf(upstream) ?? '') > id) return { partition: null };
      continue;
    }
    if (partition !== null && upstream[2] !== null) {
      const now = world.partitions.get(nameOf(asset, partition));
      if (now && now.dataVersion !== dataVersion) return { partition };
      continue;
    }
    const now = upstream[6] ?? upstream[4];
    if (now !== null && now !== dataVersion) return { partition: null };
  }
  return false;
}

/** Whether an upstream of which all, the newest, or those of a time that was not over go in has partitions that were not there. */
function hasGrown(
  read: readonly InputRow[],
  row: AssetVersionRow,
  partition: string | null,
  sides: Sides,
): boolean {
  const { upstream, downstream } = sides;
  const [, , , , , newest] = row;
  if (upstream === null || newest === null || read.some(isPacked)) return false;
  const mapping = effectiveMapping(sides);
  if (mapping.kind === 'time' && downstream !== null && partition !== null && givesMany(sides)) {
    const keys = read.flatMap((input) => input[1] ?? []);
    return !reachesNewest(upstream, downstream, mapping, { key: partition, newest, read: keys });
  }
  if (mapping.kind !== 'all' && mapping.kind !== 'last') return false;
  return !read.some((input) => input[1] === newest);
}

function lastIdOf([, , , , versionId, , , , , lastId]: AssetVersionRow): string | null {
  return lastId ?? versionId;
}

/** Adds to what lies below a stale asset that its upstream is stale; nearest first, each once. */
function spread(
  causes: ReadonlyMap<string, readonly StaleCause[]>,
  above: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly StaleCause[]> {
  const below = new Map<string, string[]>();
  for (const [downstream, upstreams] of above) {
    for (const upstream of upstreams) append(below, upstream, downstream);
  }
  const result = new Map(causes);
  const queue = [...causes.keys()];
  for (const stale of queue) {
    for (const key of below.get(stale) ?? []) {
      const before = result.get(key) ?? [];
      if (before.some((one) => one.upstream === stale) || before.length >= MAX_CAUSES) continue;
      if (before.length === 0) queue.push(key);
      result.set(key, [
        ...before,
        cause('upstream-stale', stale, null, `${stale} should be made anew first`),
      ]);
    }
  }
  return result;
}

/** Why what has no version is stale. */
export function neverMade(): StaleCause {
  return cause('never-materialized', null, null, 'it was never materialized');
}

function cause(
  reason: StaleCause['reason'],
  upstream: string | null,
  partition: string | null,
  detail: string,
): StaleCause {
  return { reason, upstream, partition, detail };
}

function nameOf(asset: string, partition: string): string {
  return `${asset}\n${partition}`;
}
