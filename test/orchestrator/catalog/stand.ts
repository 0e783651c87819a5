/** A catalog on a database of its own, with runs that are really made, and definitions to register. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import type { AssetDefinition, WorkflowDefinition } from '../../../domain/agent-protocol.ts';
import type { Clock } from '../../../domain/time.ts';
import { systemClock } from '../../../domain/time.ts';
import type { AssetTaskEnd } from '../../../orchestrator/assets/outcome.ts';
import { type Catalog, createCatalog } from '../../../orchestrator/catalog/create.ts';
import { createRunInfos } from '../../../orchestrator/runs/run-info.ts';
import { createRunMaker } from '../../../orchestrator/runs/trigger.ts';
import { createVersions } from '../../../orchestrator/runs/versions.ts';
import { type Connection, connect, type Db } from '../../../orchestrator/store/connection.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { taskOf, workflowOf } from '../definitions.ts';

const MIGRATIONS = `${import.meta.dirname}/../../../orchestrator/store/migrations`;

export interface Stand extends AsyncDisposable {
  readonly catalog: Catalog;
  /** Another server on the same database. */
  readonly other: Catalog;
  readonly db: Db;
  readonly hot: Db;
  readonly changes: { topic: string; id: string }[];
  readonly log: string[];
  /** Runs whose cancellation was asked for; the catalog alone cancels nothing. */
  readonly cancelled: readonly string[];
  /** All events of a kind that were appended for ClickHouse, in order. */
  events(kind: 'run' | 'asset'): Promise<Record<string, unknown>[]>;
  endAssets(...ends: AssetTaskEnd[]): Promise<void>;
}

/** A database with the orchestrator's tables. */
export async function startMigratedPostgres(): Promise<TestPostgres> {
  const sql = readdirSync(MIGRATIONS)
    .sort()
    .map((file) => readFileSync(`${MIGRATIONS}/${file}`, 'utf8'));
  const hash = createHash('sha256').update(sql.join()).digest('hex').slice(0, 12);
  return startTestPostgres({
    template: {
      name: `catalog_${hash}`,
      async prepare(url) {
        const client = new pg.Client({ connectionString: url });
        await client.connect();
        for (const text of sql) await client.query(text);
        await client.end();
      },
    },
  });
}

export async function startCatalog(clock: Clock = systemClock): Promise<Stand> {
  const postgres = await startMigratedPostgres();
  const log: string[] = [];
  const changes: Stand['changes'] = [];
  const cancelled: string[] = [];
  const connections: Connection[] = [];
  const make = () => {
    const connection = connect({ databaseUrl: postgres.url, log: (line) => log.push(line) });
    connections.push(connection);
    const versions = createVersions();
    return createCatalog({
      db: connection.db,
      clock,
      createRuns: createRunMaker({ clock, versions, infos: createRunInfos(versions) }),
      announceRuns: () => {},
      defaultParameters: () => ({}),
      cancelRun: async (id) => cancelled.push(id),
      log: (line) => log.push(line),
      changed: (topic, id) => changes.push({ topic, id }),
    });
  };
  const catalog = make();
  const other = make();
  const [first] = connections;
  if (!first) throw new Error('no connection was made');
  return {
    catalog,
    other,
    db: first.db,
    hot: first.hot,
    changes,
    log,
    cancelled,
    async events(kind) {
      const rows = await first.db.query<{ events: string }>(
        'SELECT events FROM signalbox.event_batch WHERE kind = $1 ORDER BY xid, id',
        [kind],
      );
      return rows.flatMap((row) => JSON.parse(row.events) as Record<string, unknown>[]);
    },
    async endAssets(...ends) {
      await first.hot.transaction((tx) => catalog.recordAssetOutcomes(tx, ends));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([catalog.close(), other.close()]);
      await Promise.all(connections.map((connection) => connection.close()));
      await postgres.stop();
    },
  };
}

export function assetOf(key: string, more: Partial<AssetDefinition> = {}): WorkflowDefinition {
  return workflowOf(key, {
    kind: 'asset',
    tasks: [taskOf(key)],
    asset: {
      key,
      dependsOn: [],
      source: null,
      description: null,
      owners: [],
      warnAfterMs: null,
      failAfterMs: null,
      deadlineCron: null,
      critical: false,
      fallback: null,
      checks: [],
      ...more,
    },
  });
}

/** The end of an asset's task; a success unless told. */
export function endOf(
  assetKey: string,
  at: number,
  more: Partial<AssetTaskEnd> = {},
): AssetTaskEnd {
  return {
    assetKey,
    runId: '01990000-0000-7000-8000-000000000001',
    workflow: assetKey,
    at,
    state: 'succeeded',
    result: null,
    outcome: null,
    error: null,
    dataInterval: null,
    ...more,
  };
}

export const ACTOR = { name: 'token:test' };
