/** Assets as the API and runbooks see them. */
import type { Asset } from '../../domain/asset.ts';
import { listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { DetectorAsset } from '../../domain/finding.ts';
import { readSummaries } from '../automation/summary.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { AssetService } from '../service.ts';
import {
  type AssetRow,
  type DetectorAssetRow,
  findAsset,
  listAssets,
  listMaterializations,
  readDetectorAssets,
  setAssetPolicy,
} from '../store/asset.ts';
import { readAssetTaskRows } from '../store/asset-task.ts';
import { readDynamicKeys } from '../store/dynamic-partition.ts';
import { createImpact } from './impact.ts';
import { createLineage } from './lineage.ts';
import { type MaterializeDeps, materialize, planMaterialize } from './materialize.ts';
import { assertNamed } from './named.ts';
import { changeDynamic, listDynamic } from './partitions/dynamic.ts';
import { judgeAt } from './partitions/freshness.ts';
import { materializePartitions, planPartitions } from './partitions/materialize.ts';
import { dynamicNamesOf } from './partitions/partition-set.ts';
import { countPartitions, findPartitioned, listPartitions } from './partitions/states.ts';
import { effectivePolicy, readPolicyInput } from './policy.ts';
import { type Surroundings, toAsset, toMaterialization } from './shown.ts';
import { createStaleness, type Staleness } from './staleness.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface AssetDeps extends MaterializeDeps {
  changed(topic: 'asset', id: string): void;
}

export function createAssets(deps: AssetDeps): AssetService {
  const { db, clock } = deps;
  const staleness = createStaleness(db);
  const surroundings = (rows: readonly AssetRow[]) => surround(deps, staleness, rows);
  const get = async (key: string): Promise<Asset> => {
    const row = await findAsset(db, key);
    if (!row) throw new SignalboxError('not-found', `asset ${key}`);
    return toAsset(row, await surroundings([row]));
  };
  return {
    get,
    async list(query) {
      const { after, limit } = readPageQuery(query);
      const prefix = listPrefix(query.environment);
      const rows = await listAssets(db, { after, limit: limit + 1, prefix });
      const around = await surroundings(rows);
      return toPage(
        rows,
        limit,
        (row) => row.key,
        (row) => toAsset(row, around),
      );
    },
    async materializations(key, query) {
      const { after, limit } = readPageQuery(query);
      if (after !== null && !UUID.test(after)) throw new SignalboxError('invalid-cursor');
      const { partition } = query;
      const rows = await listMaterializations(db, key, { after, limit: limit + 1, partition });
      if (rows.length === 0) await get(key);
      return toPage(rows, limit, (row) => row.id, toMaterialization);
    },
    async setPolicy(key, input) {
      await assertNamed(db, key);
      await setAssetPolicy(db, key, readPolicyInput(input), new Date(clock.now()));
      deps.changed('asset', key);
      return get(key);
    },
    materialize: (keys, request) =>
      materialize(deps, {
        keys,
        ...{ downstream: request.downstream ?? false, upstream: request.upstream ?? false },
        skipForeign: false,
        idempotencyKey: request.idempotencyKey ?? null,
        trigger: 'asset',
      }),
    materializePartitions: (key, request) =>
      materializePartitions({ ...deps, staleness }, key, request),
    plan: (key, { partitions, downstream = false, upstream = false, ...options }) =>
      partitions === undefined
        ? planMaterialize(deps, key, { downstream, upstream })
        : planPartitions({ ...deps, staleness }, key, {
            ...{ ...options, partitions, downstream, upstream },
          }),
    async partitions(key, query) {
      return listPartitions(db, staleness, await findPartitioned(db, clock, key), query);
    },
    async partitionCounts(key) {
      return countPartitions(db, staleness, await findPartitioned(db, clock, key));
    },
    impact: createImpact(db, clock),
    staleCauses: staleness.all,
    dynamicPartitions: (name) => listDynamic(db, name),
    changeDynamicPartitions: (name, change, actor) => changeDynamic(deps, name, change, actor.name),
    lineage: createLineage(db, clock),
    async forDetectors() {
      return (await readDetectorAssets(db)).map(toDetectorAsset);
    },
  };
}

/** What is shown beside the rows of assets. */
async function surround(
  { db, clock }: Pick<AssetDeps, 'db' | 'clock'>,
  staleness: Staleness,
  rows: readonly AssetRow[],
): Promise<Surroundings> {
  const names = rows.flatMap((row) => dynamicNamesOf(row.partitions));
  const keys = rows.map((row) => row.key);
  const [dynamic, causes, tasks, automation] = await Promise.all([
    readDynamicKeys(db, names),
    staleness.all(),
    readAssetTaskRows(db, keys),
    readSummaries(db, keys),
  ]);
  const now = clock.now();
  const byAsset = Map.groupBy(tasks, (task) => task.asset);
  return { now, judge: judgeAt(now), dynamic, causes, automation, tasks: byAsset };
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
