/**
 * The role `server`: puts the parts together, listens, and ends in order. Everything behind it is in Postgres
 * and ClickHouse, so any number of servers may run side by side.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { buildApp } from './app.ts';
import { startBackground } from './background/start.ts';
import { compose } from './compose.ts';
import { type Config, ConfigError } from './config.ts';
import { listen, portOf } from './listen.ts';
import { createLog } from './log.ts';
import { migrate } from './migrate.ts';
import { buildOtlpApp } from './otlp-app.ts';
import type { Parts } from './parts.ts';
import { createStops } from './stops.ts';

/** The most that each part may take to end. */
const STOP_LIMIT_MS = 2_500;
/** Calls under way may take this long to end by themselves. */
const DRAIN_MS = 1_500;

export interface RunningServer {
  /** Of this server among others. */
  readonly name: string;
  readonly url: string;
  readonly otlpUrl: string;
  readonly parts: Parts;
  /** Takes no more calls, lets those under way end, ends all parts. */
  stop(): Promise<void>;
}

/**
 * Starts a server.
 * @throws ConfigError, DatabaseError, or ListenError that says which port is taken
 */
export async function startServer(config: Config): Promise<RunningServer> {
  const { databaseUrl, clickhouse } = requireStores(config);
  const log = createLog(config.logLevel, 'server');
  const stops = createStops((message) => log.warn(message));
  const closing = new AbortController();
  const stop = () => {
    closing.abort();
    return stops.run(STOP_LIMIT_MS);
  };
  try {
    await migrate(databaseUrl);
    const name = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
    const composed = await compose({
      ...{ config, databaseUrl, clickhouse, name, log, stops, closing: closing.signal },
    });
    await startBackground(composed, name, log, stops);
    const otlp = buildOtlpApp(composed.parts, log);
    stops.push('OTLP receiver', () => close(otlp));
    const otlpUrl = await listen(otlp, config.host, config.otlpPort, 'SIGNALBOX_OTLP_PORT');
    const parts: Parts = { ...composed.parts, otlpPort: () => portOf(otlp) };
    const app = await buildApp(parts, log);
    stops.push('API', () => close(app));
    const url = await listen(app, config.host, config.port, 'SIGNALBOX_PORT');
    log.info({ url, otlpUrl }, 'listening');
    return { name, url, otlpUrl, parts, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function requireStores(config: Config) {
  const { databaseUrl, clickhouse } = config;
  if (databaseUrl !== null && clickhouse !== null) return { databaseUrl, clickhouse };
  const faults = [];
  if (databaseUrl === null) faults.push('DATABASE_URL is missing: a server needs a PostgreSQL');
  if (clickhouse === null) faults.push('CLICKHOUSE_URL is missing: a server needs a ClickHouse');
  throw new ConfigError(faults);
}

async function close(app: {
  readonly server: { closeAllConnections(): void };
  close(): PromiseLike<unknown>;
}): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  await app.close();
  clearTimeout(timer);
}
