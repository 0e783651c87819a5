/**
 * Which runs make partitions of an asset together with what lies above or below them, and in which order. Each partition
 * is made once, by the run of what it is made from, where that is one run; what several runs lead to (the month of many
 * days, a window over several of them) is made by a run of its own, which waits for all of those. So partitions that
 * have nothing to do with each other are made side by side, and nothing is made of half of its inputs. Pure.
 */
import type { PartitionsDefinition, RunPartitions } from '../../../domain/partition.ts';
import { dependenciesAmong, inDependencyOrder } from '../order.ts';
import { downstreamKeys, effectiveMapping, upstreamKeys } from './mapping.ts';
import { partitionSet } from './partition-set.ts';
import { inOrder } from './select.ts';
import { newestOf, type SpreadEdge, type Spreading } from './spread.ts';

/** Stands for an asset without partitions. */
const WHOLE = '';

export interface PlannedRun {
  /** In dependency order. */
  readonly assets: readonly string[];
  readonly partitions: RunPartitions;
  /** Places, in the list, of the runs that it waits for. */
  readonly after: readonly number[];
}

export interface Planning extends Spreading {
  readonly assets: readonly string[];
  handlesRange(asset: string): boolean;
}

export interface Directions {
  readonly downstream: boolean;
  readonly upstream: boolean;
}

type Keys = Map<string, Set<string>>;
type Direction = keyof Directions;

/**
 * Keys of all assets that are made with these.
 * @param limit more are not looked for
 * @returns null where there are more
 */
export function expandKeys(
  root: string,
  keys: readonly string[],
  directions: Directions,
  of: Planning,
  limit: number,
): ReadonlyMap<string, ReadonlySet<string>> | null {
  const all: Keys = new Map([[root, new Set(keys)]]);
  let count = keys.length;
  for (const direction of ['downstream', 'upstream'] as const) {
    if (!directions[direction]) continue;
    const reached = reach(root, keys, direction, of, limit);
    for (const [asset, found] of reached) {
      const known = all.get(asset) ?? new Set();
      for (const key of found) known.add(key);
      all.set(asset, known);
    }
    count = [...all.values()].reduce((sum, { size }) => sum + size, 0);
    if (count > limit) return null;
  }
  return all;
}

function reach(
  root: string,
  keys: readonly string[],
  direction: Direction,
  of: Planning,
  limit: number,
): Keys {
  const back = direction === 'downstream' ? 'upstream' : 'downstream';
  const edges = Map.groupBy(of.edges, (edge) => edge[back]);
  const among = new Set(of.assets);
  const reached: Keys = new Map([[root, new Set(keys)]]);
  const queue = keys.map((key) => ({ asset: root, key }));
  for (const { asset, key } of queue) {
    if (queue.length > limit) return reached;
    for (const edge of edges.get(asset) ?? []) {
      const next = edge[direction];
      if (!among.has(next)) continue;
      const known = reached.get(next) ?? new Set();
      reached.set(next, known);
      for (const found of neighbours(edge, key, direction, of)) {
        if (known.has(found)) continue;
        known.add(found);
        queue.push({ asset: next, key: found });
      }
    }
  }
  return reached;
}

/** What one partition leads to; what is not tied to single partitions means the newest. */
function neighbours(
  edge: SpreadEdge,
  key: string,
  direction: Direction,
  of: Planning,
): readonly string[] {
  const sides = sidesOf(edge, of);
  const target = sides[direction];
  if (target === null) return [WHOLE];
  const newest = () => [newestOf(target, of.moment)].flatMap((one) => one ?? []);
  const { kind } = effectiveMapping(sides);
  if (key === WHOLE || kind === 'all') return newest();
  if (direction === 'upstream') return upstreamKeys(sides, key, of.moment) ?? [];
  const below = downstreamKeys(sides, key, of.moment) ?? [];
  return kind === 'last' || kind === 'specific' ? (below.length > 0 ? newest() : []) : below;
}

function sidesOf(edge: SpreadEdge, { definitions }: Planning) {
  return {
    upstream: definitions.get(edge.upstream) ?? null,
    downstream: definitions.get(edge.downstream) ?? null,
    mapping: edge.mapping,
  };
}

interface Component {
  readonly keys: Keys;
  readonly after: Set<number>;
}

/** @param single all in one run */
export function planRuns(
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
  of: Planning,
  single: boolean,
): readonly PlannedRun[] {
  const assets = inDependencyOrder([...wanted.keys()], of.edges);
  const components: Component[] = [];
  const home = new Map<string, number>();
  const before = dependencies(wanted, assets, of);
  for (const asset of assets) {
    // Code that handles a range, and everything of a single run, goes together.
    let shared: number | undefined = single && components.length > 0 ? 0 : undefined;
    for (const key of orderedKeys(of.definitions.get(asset) ?? null, wanted.get(asset), of)) {
      const above = new Set(before(asset, key).flatMap((node) => home.get(node) ?? []));
      let place = above.size === 1 ? [...above][0] : undefined;
      if (single || place === undefined) place = shared;
      place ??= components.push({ keys: new Map(), after: new Set() }) - 1;
      if (single || (above.size !== 1 && of.handlesRange(asset))) shared = place;
      const own = components[place];
      if (!own) continue;
      if (above.size > 1) for (const one of above) if (one !== place) own.after.add(one);
      const keys = own.keys.get(asset) ?? new Set();
      own.keys.set(asset, keys.add(key));
      home.set(nodeOf(asset, key), place);
    }
  }
  return components.map(({ keys, after }) => ({
    assets: [...keys.keys()],
    partitions: Object.fromEntries(
      [...keys].flatMap(([asset, list]) => (list.has(WHOLE) ? [] : [[asset, [...list]]])),
    ),
    after: [...after].sort((a, b) => a - b),
  }));
}

/** Nodes of the plan that one comes directly after. */
function dependencies(
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
  assets: readonly string[],
  of: Planning,
): (asset: string, key: string) => readonly string[] {
  const among = dependenciesAmong(assets, of.edges);
  const direct = Map.groupBy(of.edges, (edge) => edge.downstream);
  const all = (asset: string) => [...(wanted.get(asset) ?? [])].map((key) => nodeOf(asset, key));
  return (asset, key) => {
    const edges = (direct.get(asset) ?? []).filter(({ upstream }) => wanted.has(upstream));
    const named = new Set(edges.map(({ upstream }) => upstream));
    // Through an asset that is not made here, all of what lies above it comes first.
    const through = (among.get(asset) ?? []).filter((above) => !named.has(above)).flatMap(all);
    const mapped = edges.flatMap((edge) => {
      const keys = upstreamKeys(sidesOf(edge, of), key === WHOLE ? null : key, of.moment);
      if (keys === null) return all(edge.upstream);
      const there = wanted.get(edge.upstream);
      return keys.filter((one) => there?.has(one)).map((one) => nodeOf(edge.upstream, one));
    });
    return [...through, ...mapped];
  };
}

function orderedKeys(
  definition: PartitionsDefinition | null,
  keys: ReadonlySet<string> | undefined,
  { moment }: Planning,
): readonly string[] {
  const list = [...(keys ?? [])];
  if (definition === null) return list;
  return inOrder(partitionSet(definition, moment.now, moment.dynamic), list);
}

function nodeOf(asset: string, key: string): string {
  return `${asset}\n${key}`;
}
