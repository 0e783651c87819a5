/** Walks along the lineage that a detector is given. Cycles, which outside lineage may have, end a walk. */
import type { DetectorAsset } from '../../domain/finding.ts';

type Assets = ReadonlyMap<string, DetectorAsset>;

/**
 * The topmost bad asset above `key` that is reached through bad assets alone; of several the one that went bad
 * first. It is `key` itself where all above it is well.
 */
export function rootOf(
  key: string,
  assets: Assets,
  isBad: (key: string) => boolean,
  sinceOf: (key: string) => number,
): string {
  const roots: string[] = [];
  const visited = new Set([key]);
  const open = [key];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    const above = (assets.get(current)?.upstream ?? []).filter(isBad);
    const fresh = above.filter((upstream) => !visited.has(upstream));
    if (above.length === 0) roots.push(current);
    for (const upstream of fresh) {
      visited.add(upstream);
      open.push(upstream);
    }
  }
  roots.sort((a, b) => sinceOf(a) - sinceOf(b) || (a < b ? -1 : 1));
  return roots[0] ?? key;
}

/** All that stands behind `key`, nearest first. */
export function downstreamOf(key: string, assets: Assets): readonly string[] {
  const children = childrenOf(assets);
  const found = new Set<string>();
  let level: readonly string[] = [key];
  while (level.length > 0) {
    const next = level
      .flatMap((parent) => children.get(parent) ?? [])
      .filter((child) => child !== key && !found.has(child));
    for (const child of next) found.add(child);
    level = [...new Set(next)];
  }
  return [...found];
}

const cache = new WeakMap<Assets, ReadonlyMap<string, readonly string[]>>();

function childrenOf(assets: Assets): ReadonlyMap<string, readonly string[]> {
  const known = cache.get(assets);
  if (known) return known;
  const children = new Map<string, string[]>();
  for (const asset of assets.values()) {
    for (const upstream of asset.upstream) {
      const list = children.get(upstream) ?? [];
      children.set(upstream, list);
      list.push(asset.key);
    }
  }
  cache.set(assets, children);
  return children;
}
