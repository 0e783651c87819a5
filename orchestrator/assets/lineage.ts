/**
 * Lineage. All edges are kept in memory, since a walk over thousands of them in the database takes ten times as
 * long; each look asks for the number of the edges' state first, and reads them anew where it has grown.
 */
import { environmentOf, PRODUCTION, plainName, qualify } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import type { LineageGraph } from '../service.ts';
import { readAssetTaskRows } from '../store/asset-task.ts';
import type { Db } from '../store/connection.ts';
import { readAssetsFromProduction } from '../store/environment.ts';
import {
  type FreshnessRow,
  readAllEdges,
  readFreshness,
  readLineageEpoch,
} from '../store/lineage.ts';
import { append } from './order.ts';
import { judgeAt, type Standing } from './partitions/freshness.ts';
import { effectivePolicy } from './policy.ts';

const MAX_DEPTH = 1_000;

interface KeptEdges {
  readonly epoch: string;
  readonly up: ReadonlyMap<string, readonly string[]>;
  readonly down: ReadonlyMap<string, readonly string[]>;
}

/** Makes the function that gives an asset's lineage. */
export function createLineage(db: Db, clock: Clock) {
  let kept: KeptEdges | undefined;

  async function edges(): Promise<KeptEdges> {
    const epoch = await readLineageEpoch(db);
    if (kept?.epoch !== epoch) kept = keepEdges(epoch, await readAllEdges(db));
    return kept;
  }

  /** @throws SignalboxError `not-found`, `invalid-request` */
  return async (key: string, depth: number): Promise<LineageGraph> => {
    if (!Number.isInteger(depth) || depth < 0 || depth > MAX_DEPTH) {
      throw new SignalboxError('invalid-request', `depth is 0 to ${MAX_DEPTH}`);
    }
    const { up, down } = await edges();
    const levels = walk(key, depth, up, -1, walk(key, depth, down, 1, new Map([[key, 0]])));
    const rows = await readFreshness(db, [...levels.keys()]);
    const known = new Map(rows.map((row) => [row[0], row]));
    if (!known.has(key) && !up.has(key) && !down.has(key)) {
      throw new SignalboxError('not-found', `asset ${key}`);
    }
    const judge = judgeAt(clock.now());
    const nodes = [...levels].map(([node, level]) => {
      const row = known.get(node);
      return { key: node, depth: level, freshness: row ? judge(standing(row)) : 'unknown' };
    });
    const [tasks, read] = await Promise.all([
      readAssetTaskRows(db, [...levels.keys()]),
      fromProduction(db, key, [...levels.keys()]),
    ]);
    return {
      tasks,
      nodes: nodes
        .map((node) => (read.has(node.key) ? ({ ...node, readFrom: PRODUCTION } as const) : node))
        .sort((a, b) => Math.abs(a.depth) - Math.abs(b.depth)),
      edges: nodes.flatMap(({ key: to }) =>
        (up.get(to) ?? []).filter((from) => levels.has(from)).map((from) => ({ from, to })),
      ),
    };
  };
}

/** Of an environment those that were read from production. */
async function fromProduction(
  db: Db,
  key: string,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const environment = environmentOf(key);
  if (environment === null) return new Set();
  const read = await readAssetsFromProduction(db, environment, keys.map(plainName));
  return new Set([...read].map((plain) => qualify(environment, plain)));
}

function standing(row: FreshnessRow): Standing {
  const [, declared, set, computedAt, fallback, partitions, made, completeAt] = row;
  return {
    ...{ policy: effectivePolicy(declared, set), fallback, partitions, made },
    computedAtMs: computedAt === null ? null : Date.parse(computedAt),
    completeAtMs: completeAt === null ? null : Date.parse(completeAt),
  };
}

function keepEdges(epoch: string, all: readonly (readonly [string, string])[]): KeptEdges {
  const up = new Map<string, string[]>();
  const down = new Map<string, string[]>();
  for (const [upstream, downstream] of all) {
    append(up, downstream, upstream);
    append(down, upstream, downstream);
  }
  return { epoch, up, down };
}

/** Adds what lies within `depth` levels, nearest first; what is nearer the other way keeps its level. */
function walk(
  key: string,
  depth: number,
  next: ReadonlyMap<string, readonly string[]>,
  direction: 1 | -1,
  levels: Map<string, number>,
): Map<string, number> {
  const seen = new Set([key]);
  let frontier = [key];
  for (let level = 1; level <= depth && frontier.length > 0; level += 1) {
    const found: string[] = [];
    for (const from of frontier) {
      for (const to of next.get(from) ?? []) {
        if (seen.has(to)) continue;
        seen.add(to);
        found.push(to);
        const before = levels.get(to);
        if (before === undefined || Math.abs(before) > level) levels.set(to, level * direction);
      }
    }
    frontier = found;
  }
  return levels;
}
