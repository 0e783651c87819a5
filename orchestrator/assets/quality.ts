/** Checks over time, facts over time, observations; and reports of assets from outside. */
import {
  type CheckResult,
  type Materialization,
  type MetadataPoint,
  readMetadataEntry,
} from '../../domain/asset.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { EpochMs } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import { findAsset, findMaterialization } from '../store/asset.ts';
import { type CheckResultRow, listCheckResults } from '../store/asset-check.ts';
import {
  findObservation,
  listObservations,
  type MetadataRow,
  readMetadataHistory,
  readObservation,
} from '../store/asset-observation.ts';
import { findVersionByKey } from '../store/asset-report.ts';
import type { Db } from '../store/connection.ts';
import { runChecks } from './check-run.ts';
import type { MaterializeDeps } from './materialize.ts';
import { assertNamed } from './named.ts';
import { toObservation } from './observations.ts';
import type { AssetQualityService, ReportedCheck } from './quality-service.ts';
import { recordAssets, type SeenCheck, type SeenOfAssets } from './record.ts';
import { toMaterialization } from './shown.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_AHEAD_MS = 366 * 86_400_000;

export interface QualityDeps extends MaterializeDeps {
  newId(): string;
  changed(topic: 'asset', id: string): void;
}

export function createAssetQuality(deps: QualityDeps): AssetQualityService {
  const { db } = deps;
  return {
    runChecks: (key, { check = null, idempotencyKey = null }) =>
      runChecks(deps, { key, check, idempotencyKey }),
    async checkResults(key, query) {
      const { after, limit } = readCursor(query);
      const check = query.check ?? null;
      const rows = await listCheckResults(db, key, { check, after, limit: limit + 1 });
      if (rows.length === 0) await assertKnown(db, key);
      return toPage(rows, limit, (row) => row.id, toResult);
    },
    async metadataHistory(key, name, limit) {
      const rows = await readMetadataHistory(db, key, name, limit);
      if (rows.length === 0) await assertKnown(db, key);
      return rows.map(toPoint);
    },
    async observations(key, query) {
      const { after, limit } = readCursor(query);
      const rows = await listObservations(db, key, { after, limit: limit + 1 });
      if (rows.length === 0) await assertKnown(db, key);
      return toPage(rows, limit, (row) => row.id, toObservation);
    },
    ...reports(deps),
  };
}

function reports(
  deps: QualityDeps,
): Pick<AssetQualityService, 'reportObservation' | 'reportMaterialization'> {
  const { db, clock, newId } = deps;
  const record = async (key: string, seenAt: (now: EpochMs) => SeenOfAssets) => {
    const now = clock.now();
    const changed = await db.transaction((tx) => recordAssets(tx, seenAt(now), newId, now));
    if (changed.includes(key)) deps.changed('asset', key);
  };
  return {
    async reportObservation(key, report) {
      const { idempotencyKey = null, dataVersion = null, metadata = {} } = report;
      await assertNamed(db, key);
      const id = newId();
      await record(key, (now) => {
        const at = readEventTime(report.eventTime, now);
        const seen = { id, assetKey: key, at, runId: null, dataVersion, metadata, idempotencyKey };
        const checks = report.checks ?? [];
        return {
          ...{ versions: [], failures: [], observations: [seen] },
          checks: toSeenChecks(key, checks, now),
        };
      });
      const own = await readObservation(db, id);
      const row = own ?? (idempotencyKey && (await findObservation(db, key, idempotencyKey)));
      if (!row) throw new Error(`the observation ${id} was recorded and is not there`);
      return { observation: toObservation(row), created: own !== undefined };
    },
    async reportMaterialization(key, report) {
      const { idempotencyKey = null, metadata = {}, partition = null, dataVersion } = report;
      await assertNamed(db, key);
      const id = newId();
      await record(key, (now) => {
        const said = readEventTime(report.eventTime, now);
        const version = {
          ...{ id, assetKey: key, at: said ?? now, runId: null, partition, metadata },
          ...{ provenance: 'observed' as const, value: null, idempotencyKey },
          ...{ saidAt: said, keys: partition === null ? null : [partition], dataInterval: null },
          ...(dataVersion === undefined ? {} : { dataVersion }),
        };
        const checks = toSeenChecks(key, report.checks ?? [], now);
        return { versions: [version], failures: [], checks };
      });
      return reported(await findReported(db, key, id, idempotencyKey), id);
    },
  };
}

async function findReported(db: Db, key: string, id: string, idempotencyKey: string | null) {
  const own = await findMaterialization(db, id);
  if (own || idempotencyKey === null) return own;
  return findVersionByKey(db, key, idempotencyKey);
}

function reported(
  row: Awaited<ReturnType<typeof findReported>>,
  id: string,
): { materialization: Materialization; created: boolean } {
  if (!row) throw new Error(`the version ${id} was recorded and is not there`);
  return { materialization: toMaterialization(row), created: row.id === id };
}

function toSeenChecks(
  assetKey: string,
  checks: readonly ReportedCheck[],
  at: EpochMs,
): readonly SeenCheck[] {
  return checks.map(({ name, passed, blocking = false, severity = 'error', metadata = {} }) => ({
    ...{ assetKey, name, passed, blocking, severity, metadata, at, runId: null },
  }));
}

/** @throws SignalboxError `invalid-time` */
function readEventTime(given: string | undefined, now: EpochMs): EpochMs | null {
  if (given === undefined) return null;
  const at = Date.parse(given);
  if (!Number.isNaN(at) && at < now + MAX_AHEAD_MS) return at;
  throw new SignalboxError('invalid-time', 'eventTime', [
    { path: '/eventTime', message: 'must be RFC 3339, and not years ahead' },
  ]);
}

function readCursor(query: { limit?: number; cursor?: string }) {
  const page = readPageQuery(query);
  if (page.after !== null && !UUID.test(page.after)) throw new SignalboxError('invalid-cursor');
  return page;
}

/** @throws SignalboxError `not-found` */
async function assertKnown(db: Db, key: string): Promise<void> {
  if (!(await findAsset(db, key))) throw new SignalboxError('not-found', `asset ${key}`);
}

function toResult(row: CheckResultRow): CheckResult {
  return {
    ...{ id: row.id, assetKey: row.asset_key, check: row.name, passed: row.passed },
    ...{ severity: row.severity, blocking: row.blocking, at: row.at.toISOString() },
    ...{ runId: row.run_id, metadata: row.metadata },
  };
}

function toPoint(row: MetadataRow): MetadataPoint {
  return {
    ...{ id: row.id, source: row.source, runId: row.run_id, partition: row.partition },
    at: (row.at ?? row.recorded_at).toISOString(),
    recordedAt: row.recorded_at.toISOString(),
    entry: readMetadataEntry(row.value),
  };
}
