/** Puts the parts of a server together: each knows its contract, only this file knows all of them. */
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import pg from 'pg';
import { createCollector } from '../collector/create.ts';
import type { Collector } from '../collector/service.ts';
import type { Clock } from '../domain/time.ts';
import { createLevers } from '../engines/signalbox/levers.ts';
import { createIncidents } from '../incidents/create.ts';
import { createOrchestrator } from '../orchestrator/create.ts';
import type { BlobStore } from '../orchestrator/results/blob-store.ts';
import { fileStore } from '../orchestrator/results/file-store.ts';
import { openStore } from '../orchestrator/results/open-store.ts';
import type { Orchestrator } from '../orchestrator/service.ts';
import { runbooks } from '../runbooks/index.ts';
import { createAuditWriter } from './audit.ts';
import { Credentials } from './auth/credentials.ts';
import { createLeases, type Leases } from './background/leases.ts';
import { type Executor, RUNBOOK_FLOW } from './background/system-agent.ts';
import type { ClickHouseConfig, Config } from './config.ts';
import { followDatabaseClock } from './database-clock.ts';
import { createLive } from './live.ts';
import { addStateMetrics, createMetrics } from './metrics.ts';
import type { Parts } from './parts.ts';
import type { Stops } from './stops.ts';
import { ownDeletions } from './store/retention.ts';
import { deleteTokensOf } from './store/tokens.ts';

/** One server at a time copies run events to ClickHouse. */
const FOLLOW_LEASE = 'follow-events';
const OWN_POOL_SIZE = 8;
const MIGRATE_AGAIN_MS = 2_000;

export interface ComposeOptions {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly clickhouse: ClickHouseConfig;
  /** Of this server among others. */
  readonly name: string;
  readonly log: FastifyBaseLogger;
  readonly stops: Stops;
  readonly closing: AbortSignal;
}

export interface Composed {
  readonly parts: Omit<Parts, 'otlpPort'>;
  readonly executor: Executor;
  readonly leases: Leases;
}

/** Makes all parts; what has to be ended later is put on `stops`. */
export async function compose(options: ComposeOptions): Promise<Composed> {
  const { config, databaseUrl, log, stops, closing } = options;
  const tell = (message: string) => log.info(message);
  const db = openPool(databaseUrl, tell);
  stops.push('database connections', () => db.end());
  const { clock, stop } = await followDatabaseClock(db, (message) => log.warn(message));
  stops.push('clock', stop);
  const orchestrator = await createOrchestrator({
    ...{ databaseUrl, clock, log: tell, leaseMs: config.leaseMs, webhooksTo: config.webhooksTo },
    resultStore: resultStore(config),
  });
  stops.push('orchestrator', () => orchestrator.close());
  const leases = createLeases({ db, holder: options.name, log: (message) => log.warn(message) });
  leases.start();
  stops.push('leases', () => leases.stop());
  await leases.want(FOLLOW_LEASE);
  const collector = await startCollector(options, { db, orchestrator, clock, leases });
  orchestrator.retention.add(...ownDeletions(db));
  orchestrator.environments.add((environment) => deleteTokensOf(db, environment));
  orchestrator.retention.follow(async (keeps) => {
    await collector.applyRetention(keeps);
  });
  const { incidents, live } = watchIncidents(options, { db, orchestrator, collector, clock });
  const credentials = new Credentials(db, clock);
  stops.push('credentials', () => credentials.close());
  const parts = {
    ...{ orchestrator, collector, incidents, credentials, live, db, clock, closing },
    audit: createAuditWriter(db, (message) => log.error(message)),
    metrics: createMetrics(),
  };
  addStateMetrics(parts);
  return { parts, executor: incidents, leases };
}

/** Agents that have no store of their own go through this one. */
function resultStore({ resultStore: { url, ...credentials }, dataDir }: Config): BlobStore {
  return url === null ? fileStore(join(dataDir, 'results')) : openStore(url, credentials);
}

interface Sources {
  readonly db: pg.Pool;
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
}

function openPool(databaseUrl: string, log: (message: string) => void): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: OWN_POOL_SIZE,
    application_name: 'signalbox-server',
    connectionTimeoutMillis: 5_000,
    statement_timeout: 30_000,
  });
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('error', (error) => log(`a database connection was lost: ${error.message}`));
  return pool;
}

async function startCollector(
  options: ComposeOptions,
  sources: Sources & { leases: Leases },
): Promise<Collector> {
  const { config, clickhouse, name, log, stops } = options;
  const { db, orchestrator, clock, leases } = sources;
  const collector = createCollector({
    clickhouse,
    externalSink: orchestrator.external,
    eventSource: orchestrator.events,
    watchedPostgres: config.watchedPostgres,
    spoolDir: join(config.dataDir, 'spool'),
    clock,
    log: (message) => log.info(message),
    ownPools: [{ name: 'signalbox-server', server: '', pool: db }],
    instance: name,
    follow: () => leases.isHeld(FOLLOW_LEASE),
  });
  const migrated = await collector.migrate().catch((error: unknown) => error);
  await collector.start();
  stops.push('collector', () => collector.stop());
  if (migrated instanceof Error) {
    log.warn({ err: migrated }, 'ClickHouse cannot be migrated now; telemetry waits for it');
    stops.push('migration of ClickHouse', migrateLater(collector, log));
  }
  return collector;
}

/** Tries again until ClickHouse is there. @returns what ends the trying */
function migrateLater(collector: Collector, log: FastifyBaseLogger): () => void {
  const timer = setInterval(() => {
    collector.migrate().then(
      () => {
        clearInterval(timer);
        log.info('ClickHouse is migrated');
      },
      () => undefined,
    );
  }, MIGRATE_AGAIN_MS);
  return () => clearInterval(timer);
}

function watchIncidents(options: ComposeOptions, sources: Sources & { collector: Collector }) {
  const { config, log, stops } = options;
  const { db, orchestrator, collector, clock } = sources;
  const query: Collector['query'] = (wanted) => collector.query(wanted);
  const levers = createLevers({
    ...orchestrator.levers,
    ...{ pools: orchestrator.pools, servers: collector.servers, query, clock },
  });
  const incidents = createIncidents({
    ...{ db, query, levers, runbooks, clock, leaseMs: config.leaseMs },
    log: (message) => log.info(message),
    context: () => orchestrator.assets.forDetectors(),
    recordEvent: (event) => collector.recordIncidentEvent(event),
    async startRun(executionId, idempotencyKey) {
      const request = { parameters: { executionId }, idempotencyKey };
      const actor = { name: 'signalbox' };
      const { run } = await orchestrator.runs.trigger(RUNBOOK_FLOW, request, actor);
      return { runId: run.id };
    },
  });
  orchestrator.environments.add((environment) => incidents.forget(environment));
  const live = createLive((runIds) => orchestrator.environments.ofRuns(runIds));
  const unfollow = [
    orchestrator.onChange((change) => {
      live.publish(change);
      if (change.topic === 'run' || change.topic === 'asset') collector.nudge();
    }),
    incidents.onChange((change) => live.publish(change)),
  ];
  stops.push('live changes', () => {
    for (const end of unfollow) end();
    live.close();
  });
  return { incidents, live };
}
