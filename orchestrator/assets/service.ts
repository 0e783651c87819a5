/** Assets as the API and runbooks see them. */
import type { Asset } from '../../domain/asset.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { DetectorAsset } from '../../domain/finding.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { AssetService } from '../service.ts';
import {
  type DetectorAssetRow,
  findAsset,
  listAssets,
  listMaterializations,
  readDetectorAssets,
  setAssetPolicy,
} from '../store/asset.ts';
import type { Db } from '../store/connection.ts';
import { createLineage } from './lineage.ts';
import { type MaterializeDeps, materialize } from './materialize.ts';
import { effectivePolicy, freshnessAt, readPolicyInput } from './policy.ts';
import { toAsset, toMaterialization } from './shown.ts';

const MAX_KEY_LENGTH = 1_000;
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
    lineage: createLineage(db, clock),
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

function toDetectorAsset(row: DetectorAssetRow): DetectorAsset {
  return {
    key: row.key,
    policy: effectivePolicy(row.declared_policy, row.set_policy),
    upstream: row.upstream,
    source: row.source,
    owners: row.owners,
  };
}
