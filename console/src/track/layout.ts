/**
 * Where the stations of a track diagram stand. Left to right by depth (the longest way from a source), top to
 * bottom so that tracks run straight where they can. A level with too many stations folds those that say
 * least into one ('32 assets'). Below a failed station the track is dim: the blast radius is seen, not read.
 * Pure: the same graph always gives the same picture, so that it stands still while states change.
 */
import { type SignName, worstSign } from '../parts/sign-of.ts';

export interface TrackNode {
  readonly key: string;
  readonly upstream: readonly string[];
  readonly sign: SignName;
  /** Stays visible when its level folds. */
  readonly critical: boolean;
}

export interface Station {
  readonly id: string;
  /** One asset, or those that are folded into it. */
  readonly keys: readonly string[];
  readonly depth: number;
  readonly row: number;
  readonly sign: SignName;
  /** Its own trouble started here, not further up. */
  readonly origin: boolean;
  /** Something upstream of it failed. */
  readonly dim: boolean;
}

export interface Track {
  readonly from: string;
  readonly to: string;
  readonly dim: boolean;
}

export interface TrackPlan {
  readonly levels: number;
  readonly rows: number;
  readonly stations: readonly Station[];
  readonly tracks: readonly Track[];
}

const MAX_IN_LEVEL = 6;
const SWEEPS = 4;

export interface LayoutOptions {
  /** Levels that are shown whole although they are large. */
  readonly unfolded?: ReadonlySet<number>;
  readonly maxInLevel?: number;
}

type Draft = Omit<Station, 'row'>;

export function layoutTrack(nodes: readonly TrackNode[], options: LayoutOptions = {}): TrackPlan {
  const known = new Map(nodes.map((node) => [node.key, node]));
  const upstream = new Map(
    nodes.map(({ key, upstream: ups }) => [key, ups.filter((up) => known.has(up) && up !== key)]),
  );
  const depth = depths(upstream);
  const { origins, behind } = blastRadius(nodes, upstream);
  const drafts = nodes.map((node) => ({
    id: node.key,
    keys: [node.key],
    depth: depth.get(node.key) ?? 0,
    sign: node.sign,
    origin: origins.has(node.key),
    dim: behind.has(node.key),
  }));
  const isKept = (id: string) => origins.has(id) || known.get(id)?.critical === true;
  const stationsDraft = fold(drafts, isKept, options);
  const stationOf = new Map(stationsDraft.flatMap(({ id, keys }) => keys.map((key) => [key, id])));
  const tracks = joinTracks(upstream, stationOf, (key) => origins.has(key) || behind.has(key));
  const stations = placeRows(stationsDraft, tracks);
  return {
    levels: Math.max(0, ...stations.map((station) => station.depth + 1)),
    rows: Math.max(0, ...stations.map((station) => station.row + 1)),
    stations,
    tracks,
  };
}

/** Longest way from a node without upstream; a node within a cycle counts from where the walk met it. */
function depths(upstream: ReadonlyMap<string, readonly string[]>): Map<string, number> {
  const found = new Map<string, number>();
  const open = new Set<string>();
  const visit = (key: string): number => {
    const known = found.get(key);
    if (known !== undefined) return known;
    if (open.has(key)) return 0;
    open.add(key);
    const depth = Math.max(0, ...(upstream.get(key) ?? []).map((up) => visit(up) + 1));
    open.delete(key);
    found.set(key, depth);
    return depth;
  };
  for (const key of upstream.keys()) visit(key);
  return found;
}

const isBad = (sign: SignName) => sign === 'danger' || sign === 'degraded';

/** Bad nodes with nothing bad above them, and all that stands behind these. */
function blastRadius(
  nodes: readonly TrackNode[],
  upstream: ReadonlyMap<string, readonly string[]>,
): { origins: Set<string>; behind: Set<string> } {
  const bad = new Set(nodes.filter(({ sign }) => isBad(sign)).map(({ key }) => key));
  const origins = new Set(
    [...bad].filter((key) => !(upstream.get(key) ?? []).some((up) => bad.has(up))),
  );
  const downstream = new Map<string, string[]>();
  for (const [key, ups] of upstream) {
    for (const up of ups) downstream.set(up, [...(downstream.get(up) ?? []), key]);
  }
  const behind = new Set<string>();
  const open = [...origins];
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    for (const next of downstream.get(key) ?? []) {
      if (behind.has(next) || origins.has(next)) continue;
      behind.add(next);
      open.push(next);
    }
  }
  return { origins, behind };
}

function fold(
  drafts: readonly Draft[],
  isKept: (id: string) => boolean,
  { unfolded = new Set(), maxInLevel = MAX_IN_LEVEL }: LayoutOptions,
): Draft[] {
  const levels = Map.groupBy(drafts, (draft) => draft.depth);
  return [...levels].flatMap(([depth, level]) => {
    if (level.length <= maxInLevel || unfolded.has(depth)) return level;
    const kept = level.filter(({ id }) => isKept(id)).slice(0, maxInLevel - 1);
    const rest = level.filter((draft) => !kept.includes(draft));
    const group: Draft = {
      id: `level:${depth}`,
      keys: rest.map(({ id }) => id),
      depth,
      sign: worstSign(rest.map(({ sign }) => sign)),
      origin: rest.some(({ origin }) => origin),
      dim: rest.every(({ dim }) => dim),
    };
    return [...kept, group];
  });
}

function joinTracks(
  upstream: ReadonlyMap<string, readonly string[]>,
  stationOf: ReadonlyMap<string, string>,
  isDim: (key: string) => boolean,
): Track[] {
  const tracks = new Map<string, Track>();
  for (const [key, ups] of upstream) {
    for (const up of ups) {
      const from = stationOf.get(up) ?? up;
      const to = stationOf.get(key) ?? key;
      if (from === to) continue;
      const id = `${from}\n${to}`;
      const dim = isDim(up) && (tracks.get(id)?.dim ?? true);
      tracks.set(id, { from, to, dim });
    }
  }
  return [...tracks.values()];
}

/** Rows by the mean row of what they hang on, sweeping to and fro; then levels are pulled level with it. */
function placeRows(drafts: readonly Draft[], tracks: readonly Track[]): Station[] {
  const neighbours = (id: string, side: 'from' | 'to') =>
    tracks.filter((track) => track[side === 'from' ? 'to' : 'from'] === id).map((t) => t[side]);
  const ups = new Map(drafts.map(({ id }) => [id, neighbours(id, 'from')]));
  const downs = new Map(drafts.map(({ id }) => [id, neighbours(id, 'to')]));
  const levels = [...Map.groupBy(drafts, (draft) => draft.depth)]
    .sort(([a], [b]) => a - b)
    .map(([, level]) => level.map(({ id }) => id).sort());
  const row = new Map<string, number>();
  for (const level of levels) {
    for (const [index, id] of level.entries()) row.set(id, index);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const level of down ? levels : levels.toReversed()) {
      placeLevel(level, down ? ups : downs, row);
    }
  }
  for (const level of levels) placeLevel(level, ups, row);
  const top = Math.min(...row.values());
  return drafts.map((draft) => ({ ...draft, row: (row.get(draft.id) ?? 0) - top }));
}

function placeLevel(
  level: string[],
  towards: ReadonlyMap<string, readonly string[]>,
  row: Map<string, number>,
): void {
  const wish = new Map(
    level.map((id) => {
      const near = (towards.get(id) ?? []).map((other) => row.get(other) ?? 0);
      const mean = near.reduce((sum, value) => sum + value, 0) / near.length;
      return [id, near.length > 0 ? mean : (row.get(id) ?? 0)];
    }),
  );
  level.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0) || a.localeCompare(b));
  const placed: number[] = [];
  for (const id of level) {
    placed.push(Math.max(Math.round(wish.get(id) ?? 0), (placed.at(-1) ?? -Infinity) + 1));
  }
  const drift =
    level.reduce((sum, id, index) => sum + (placed[index] ?? 0) - (wish.get(id) ?? 0), 0) /
    level.length;
  for (const [index, id] of level.entries()) row.set(id, (placed[index] ?? 0) - Math.round(drift));
}
