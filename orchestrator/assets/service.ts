/** Assets as the API and runbooks see them. */
import type { Asset } from '../../domain/asset.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { DetectorAsset } from '../../domain/finding.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { AssetService, LineageGraph } from '../service.ts';
import {
  type DetectorAssetRow,
  findAsset,
  listAssets,
  listMaterializations,
  readDetectorAssets,
  setAssetPolicy,
} from '../store/asset.ts';
import type { Db } from '../store/connection.ts';
import { isNamed, readLineage } from '../store/lineage.ts';
import { type MaterializeDeps, materialize } from './materialize.ts';
import { effectivePolicy, freshnessAt, readPolicyInput } from './policy.ts';
import { toAsset, toMaterialization } from './shown.ts';

const MAX_KEY_LENGTH = 1_000;
const MAX_DEPTH = 100;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface AssetDeps extends MaterializeDeps {
  changed(topic: 'asset', id: string): void;
}

export function createAssets(deps: AssetDeps): AssetService {
  const { db, clock } = deps;
  const get = (key: string) => getAsset(db, key, clock.now());
  return {
    get,
    async list(query) {
      const { after, limit } = readPageQuery(query);
      const rows = await listAssets(db, { after, limit: limit + 1 });
      const judge = freshnessAt(clock.now());
      return toPage(
        rows,
        limit,
        (row) => row.key,
        (row) => toAsset(row, judge),
      );
    },
    async materializations(key, query) {
      const { after, limit } = readPageQuery(query);
      if (after !== null && !UUID.test(after)) throw new SignalboxError('invalid-cursor');
      const rows = await listMaterializations(db, key, { after, limit: limit + 1 });
      if (rows.length === 0) await get(key);
      return toPage(rows, limit, (row) => row.id, toMaterialization);
    },
    async setPolicy(key, input) {
      assertKey(key);
      await setAssetPolicy(db, key, readPolicyInput(input), new Date(clock.now()));
      deps.changed('asset', key);
      return get(key);
    },
    materialize: (keys, request) =>
      materialize(deps, {
        keys,
        downstream: request.downstream ?? false,
        skipForeign: false,
        idempotencyKey: request.idempotencyKey ?? null,
        trigger: 'asset',
      }),
    lineage: (key, depth) => lineageOf(db, key, depth, clock.now()),
    async forDetectors() {
      return (await readDetectorAssets(db)).map(toDetectorAsset);
    },
  };
}

/** @throws SignalboxError `not-found` */
async function getAsset(db: Db, key: string, now: number): Promise<Asset> {
  const row = await findAsset(db, key);
  if (!row) throw new SignalboxError('not-found', `asset ${key}`);
  return toAsset(row, freshnessAt(now));
}

function assertKey(key: string): void {
  if (key.length === 0 || key.length > MAX_KEY_LENGTH) {
    throw new SignalboxError(
      'invalid-request',
      `an asset key has 1 to ${MAX_KEY_LENGTH} characters`,
    );
  }
}

async function lineageOf(db: Db, key: string, depth: number, now: number): Promise<LineageGraph> {
  if (!Number.isInteger(depth) || depth < 0 || depth > MAX_DEPTH) {
    throw new SignalboxError('invalid-request', `depth is 0 to ${MAX_DEPTH}`);
  }
  const { nodes, edges } = await readLineage(db, key, depth);
  // An asset without a row exists where an edge names it.
  if (nodes.length === 1 && nodes[0]?.[5] === null && !(await isNamed(db, key))) {
    throw new SignalboxError('not-found', `asset ${key}`);
  }
  const judge = freshnessAt(now);
  const shown = nodes.map(([node, level, declared, set, computedAt, fallback]) => ({
    key: node,
    depth: level,
    freshness: judge(
      effectivePolicy(declared ?? {}, set ?? {}),
      computedAt === null ? null : Date.parse(computedAt),
      fallback ?? false,
    ),
  }));
  return {
    nodes: shown.sort((a, b) => Math.abs(a.depth) - Math.abs(b.depth)),
    edges: edges.map(([from, to]) => ({ from, to })),
  };
}

function toDetectorAsset(row: DetectorAssetRow): DetectorAsset {
  return {
    key: row.key,
    policy: effectivePolicy(row.declared_policy, row.set_policy),
    upstream: row.upstream,
    source: row.source,
    owners: row.owners,
  };
}
