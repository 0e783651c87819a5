/**
 * The collector put together: receivers and probes on one side, ClickHouse on the other. It holds nothing that
 * cannot be lost but the spool; any number of servers may hold one each, while only one of them at a time
 * should follow the event source (`follow`).
 */
import type { EventSource, ExternalRunSink } from '../domain/events.ts';
import type { Clock } from '../domain/time.ts';
import {
  type ClickHouseAccess,
  type Connection,
  connect,
  messageOf,
} from './clickhouse/connection.ts';
import { Follower } from './clickhouse/follow.ts';
import { migrateClickHouse } from './clickhouse/migrate.ts';
import { readPoolsSeen } from './clickhouse/pools-seen.ts';
import { applyRetention } from './clickhouse/retention.ts';
import { readRunLogs } from './clickhouse/run-logs.ts';
import {
  heartbeatRow,
  incidentEventRow,
  logRow,
  poolSampleRow,
  TABLES,
} from './clickhouse/tables.ts';
import { createWriter, toRows, type Writer } from './clickhouse/writer.ts';
import { createOwnPoolProbe, type OwnPool } from './probe/own-pools.ts';
import { createServerProbes, type WatchedPostgres } from './probe/servers.ts';
import { createOpenLineageReceiver } from './receive/openlineage/receive.ts';
import { createOtlpReceiver } from './receive/otlp/receive.ts';
import type { Collector } from './service.ts';

export interface CollectorOptions {
  readonly clickhouse: ClickHouseAccess;
  /** Takes runs, assets and lineage that came in from outside. */
  readonly externalSink: ExternalRunSink;
  /** Run and asset events that are copied to ClickHouse. */
  readonly eventSource: EventSource;
  readonly watchedPostgres: readonly WatchedPostgres[];
  /** Where the product's own samples wait while ClickHouse is away. */
  readonly spoolDir: string;
  readonly clock: Clock;
  log(message: string): void;
  /** This process's own connection pools, sampled once a second. */
  readonly ownPools?: readonly OwnPool[];
  /** Name of this process in samples of its own pools. */
  readonly instance?: string;
  /**
   * Whether this collector copies run events; one at a time should. Asked before each batch where it is a function
   * (whether this server holds the lease for it). True unless told.
   */
  readonly follow?: boolean | (() => boolean);
}

/** Makes a collector. Nothing runs and nothing is sent before `start()`. */
export function createCollector(options: CollectorOptions): Collector {
  const { clock, log } = options;
  const connection = connect(options.clickhouse);
  const writer = createWriter({ spoolDir: options.spoolDir, send: connection.insert, log });
  const follower = new Follower({
    source: options.eventSource,
    clock,
    send: connection.insert,
    query: connection.queryAsWriter,
    ...{ setAside: writer.setAside, log },
    ...(typeof options.follow === 'function' ? { isTurn: options.follow } : {}),
  });
  const samples = recordSamples(writer, clock, log);
  const probes = createServerProbes({
    servers: options.watchedPostgres,
    clock,
    log,
    record: samples.recordPoolSamples,
  });
  const ownPools = createOwnPoolProbe({
    pools: options.ownPools ?? [],
    instance: options.instance ?? 'server',
    clock,
    record: samples.recordPoolSamples,
  });
  return {
    ...samples,
    receiveOtlp: createOtlpReceiver({ writer, clock, log, recordPools: samples.recordPoolSamples }),
    receiveOpenLineage: createOpenLineageReceiver({ writer, sink: options.externalSink, clock }),
    query: connection.query,
    observedPools: () => readPoolsSeen(connection.query, clock.now()),
    runLogs: (runId, query) => readRunLogs(connection.query, runId, query),
    servers: probes.levers,
    nudge: () => follower.nudge(),
    applyRetention: (keeps) => applyRetention(connection, keeps),
    migrate: () => migrateClickHouse(connection.writer),
    ...lifecycle(options, { connection, writer, follower, probes: [probes, ownPools] }),
  };
}

const NANOSECONDS_A_MS = 1_000_000;

type Samples = Pick<
  Collector,
  'recordPoolSamples' | 'recordHeartbeats' | 'recordLogs' | 'recordIncidentEvent'
>;

/**
 * Pool samples and heartbeats are handed over without waiting for ClickHouse: the next ones come in seconds,
 * and who sends them must not be held up. Logs and incident events are durable once their promise resolves.
 */
function recordSamples(writer: Writer, clock: Clock, log: (message: string) => void): Samples {
  let order = 0;
  const handOver = async (table: string, rows: readonly object[]) => {
    writer.record(table, toRows(rows)).catch((error: unknown) => {
      log(`${rows.length} rows for ${table} were dropped: ${messageOf(error)}`);
    });
  };
  return {
    recordPoolSamples: (all) => handOver(TABLES.poolSamples, all.map(poolSampleRow)),
    recordHeartbeats: (all) => handOver(TABLES.heartbeats, all.map(heartbeatRow)),
    recordLogs(lines) {
      const rows = lines.map((line) => {
        order = (order + 1) % NANOSECONDS_A_MS;
        // A line that is sent twice is the same row twice.
        return logRow(line, line.seq === undefined ? order : line.seq % NANOSECONDS_A_MS);
      });
      return writer.record(TABLES.logs, toRows(rows));
    },
    recordIncidentEvent: (event) =>
      writer.record(TABLES.incidentEvents, toRows([incidentEventRow(event, clock.now())])),
  };
}

interface Parts {
  readonly connection: Connection;
  readonly writer: Writer;
  readonly follower: Follower;
  readonly probes: readonly { start(): void; stop(): Promise<void> }[];
}

function lifecycle(
  options: CollectorOptions,
  parts: Parts,
): Pick<Collector, 'health' | 'start' | 'stop'> {
  const { connection, writer, follower, probes } = parts;
  return {
    async health() {
      return {
        clickhouse: (await connection.isReachable()) ? 'ok' : 'unreachable',
        lagMs: follower.lagMs(),
        spooledBytes: writer.spooledBytes,
      };
    },
    async start() {
      writer.start();
      if (options.follow !== false) follower.start();
      for (const probe of probes) probe.start();
    },
    async stop() {
      await Promise.all([follower.stop(), ...probes.map((probe) => probe.stop())]);
      await writer.stop();
      await connection.close();
    },
  };
}
