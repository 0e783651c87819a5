/** Which assets a diagram shows, and as what. */
import type { Asset } from '../../../domain/asset.ts';
import type { Incident } from '../../../domain/incident.ts';
import { signOfFreshness } from '../parts/sign-of.ts';
import type { TrackNode } from './layout.ts';

/**
 * The critical assets with all that they rest on and all that rests on them. Where none is
 * critical: all that are connected; where nothing is connected: all.
 */
export function selectForOverview(assets: readonly Asset[]): TrackNode[] {
  const critical = assets.filter((asset) => asset.policy.critical).map(({ key }) => key);
  if (critical.length > 0)
    return toNodes(assets, neighbourhood(assets, critical, Infinity, Infinity));
  const connected = new Set(
    assets.flatMap(({ key, dependsOn }) => (dependsOn.length > 0 ? [key, ...dependsOn] : [])),
  );
  return toNodes(assets, connected.size > 0 ? connected : new Set(assets.map(({ key }) => key)));
}

/** An asset with `up` levels above and `down` levels below. */
export function selectAround(
  assets: readonly Asset[],
  keys: readonly string[],
  up: number,
  down: number,
): TrackNode[] {
  return toNodes(assets, neighbourhood(assets, keys, up, down));
}

/** Just these. */
export function selectOnly(assets: readonly Asset[], keys: ReadonlySet<string>): TrackNode[] {
  return toNodes(assets, keys);
}

/** Keys of outside sources begin with this, which no asset's key does. */
const SOURCE = 'source:';

export function isSource(key: string): boolean {
  return key.startsWith(SOURCE);
}

/** A source as people name it. */
export function sourceName(key: string): string {
  return key.slice(SOURCE.length).replace(/^[a-z]+:\/\//, '');
}

/**
 * Outside sources that unresolved incidents are about, as stations before the assets that read them. A source
 * has failed until one of these was computed anew after the incident was detected.
 */
export function addSources(
  nodes: readonly TrackNode[],
  incidents: readonly Incident[],
  assets: readonly Asset[],
): TrackNode[] {
  const last = new Map(assets.map(({ key, lastMaterialization }) => [key, lastMaterialization]));
  const sources: TrackNode[] = [];
  const feeds = new Map<string, readonly string[]>();
  for (const { status, subjects, affected, detectedAt } of incidents) {
    if (status === 'resolved') continue;
    const inside = new Set([...subjects, ...affected].map(({ id }) => id));
    const readers = nodes
      .filter(({ key, upstream }) => inside.has(key) && !upstream.some((up) => inside.has(up)))
      .map(({ key }) => key);
    const answers = readers.some((key) => {
      const version = last.get(key);
      return version?.provenance === 'computed' && version.recordedAt > detectedAt;
    });
    for (const { type, id } of subjects) {
      const key = SOURCE + id;
      if (type !== 'source' || readers.length === 0 || feeds.has(key)) continue;
      feeds.set(key, readers);
      sources.push({ key, upstream: [], sign: answers ? 'clear' : 'danger', critical: true });
    }
  }
  const readFrom = (reader: string) =>
    [...feeds].filter(([, readers]) => readers.includes(reader)).map(([source]) => source);
  return [
    ...sources,
    ...nodes.map((node) => ({ ...node, upstream: [...node.upstream, ...readFrom(node.key)] })),
  ];
}

function toNodes(assets: readonly Asset[], keys: ReadonlySet<string>): TrackNode[] {
  return assets
    .filter(({ key }) => keys.has(key))
    .map((asset) => ({
      key: asset.key,
      upstream: asset.dependsOn,
      sign: signOfFreshness(asset.freshness),
      critical: asset.policy.critical,
    }));
}

function neighbourhood(
  assets: readonly Asset[],
  start: readonly string[],
  up: number,
  down: number,
): Set<string> {
  const upstream = new Map(assets.map(({ key, dependsOn }) => [key, dependsOn]));
  const downstream = new Map<string, string[]>();
  for (const { key, dependsOn } of assets) {
    for (const other of dependsOn) {
      const known = downstream.get(other);
      if (known) known.push(key);
      else downstream.set(other, [key]);
    }
  }
  return new Set([...walk(start, upstream, up), ...walk(start, downstream, down)]);
}

function walk(
  start: readonly string[],
  next: ReadonlyMap<string, readonly string[]>,
  levels: number,
): Set<string> {
  const seen = new Set(start);
  let front = [...start];
  for (let level = 0; level < levels && front.length > 0; level += 1) {
    front = [...new Set(front.flatMap((key) => next.get(key) ?? []))].filter((k) => !seen.has(k));
    for (const key of front) seen.add(key);
  }
  return seen;
}
