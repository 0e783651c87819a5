/** The databases of an instance: those that the configuration names, else embedded ones that are started here. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startEmbeddedClickHouse } from '../../collector/embedded/start.ts';
import { checkClickHouse } from '../clickhouse-check.ts';
import type { ClickHouseConfig, Config } from '../config.ts';
import { type RunningPart, startChild } from './child.ts';
import { logPath, type Secrets } from './data-dir.ts';
import { usablePort } from './free-port.ts';
import { type Kept, keep } from './keep.ts';
import { modulePath } from './module-path.ts';
import type { StartPostgres } from './postgres-messages.ts';

const READY_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 8_000;
const USER = 'signalbox';
/** A process that is just ending may still hold the directory. */
const TRIES = 8;
const TRY_AGAIN_MS = 700;

export interface Stores {
  readonly databaseUrl: string;
  readonly clickhouse: ClickHouseConfig;
}

export interface StoreOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  log(message: string): void;
  /** Told how long each took to be ready. */
  ready(what: string, tookMs: number): void;
  /** Takes what ends a part; called in the order of starting. */
  onStarted(name: string, part: Pick<Kept<unknown>, 'stop'>): void;
}

/** Both at once: they do not need each other. */
export async function startStores(options: StoreOptions): Promise<Stores> {
  const [databaseUrl, clickhouse] = await Promise.all([
    timed(options, 'PostgreSQL', startPostgres),
    timed(options, 'ClickHouse', startClickHouse),
  ]);
  return { databaseUrl, clickhouse };
}

async function timed<T>(
  options: StoreOptions,
  what: string,
  start: (options: StoreOptions) => Promise<T>,
): Promise<T> {
  const startedAt = performance.now();
  const value = await start(options);
  options.ready(what, performance.now() - startedAt);
  return value;
}

async function startPostgres(options: StoreOptions): Promise<string> {
  const { config, secrets, log } = options;
  if (config.databaseUrl !== null) return config.databaseUrl;
  const port = await usablePort('127.0.0.1', 0, '');
  const first: StartPostgres = {
    directory: join(config.dataDir, 'postgres'),
    ...{ port, user: USER, password: secrets.postgresPassword, database: USER },
  };
  const path = await logPath(config.dataDir, 'postgres');
  const module = modulePath('./postgres-process.ts', import.meta.url);
  const kept = await keep(
    'PostgreSQL',
    () =>
      startChild<unknown>({
        ...{ name: 'PostgreSQL', module, args: [], env: process.env, logPath: path, first },
        ...{ readyLimitMs: READY_LIMIT_MS, stopLimitMs: STOP_LIMIT_MS },
      }),
    log,
  );
  options.onStarted('PostgreSQL', kept);
  return `postgres://${USER}:${secrets.postgresPassword}@127.0.0.1:${port}/${USER}`;
}

async function startClickHouse(options: StoreOptions): Promise<ClickHouseConfig> {
  const { config, secrets, log } = options;
  if (config.clickhouse !== null) {
    await checkClickHouse(config.clickhouse);
    return config.clickhouse;
  }
  const { host } = config;
  const port = await usablePort(host, config.clickhousePort, 'SIGNALBOX_CLICKHOUSE_PORT');
  const path = await logPath(config.dataDir, 'clickhouse');
  await mkdir(join(config.dataDir, 'clickhouse'), { recursive: true, mode: 0o700 });
  const kept = await keep('ClickHouse', () => clickHousePart(options, port, path), log);
  options.onStarted('ClickHouse', kept);
  return {
    url: kept.first.url,
    writer: { user: 'writer', password: secrets.clickhouseWriterPassword },
    reader: { user: 'reader', password: secrets.clickhouseReaderPassword },
  };
}

async function clickHousePart(
  { config, secrets }: StoreOptions,
  port: number,
  path: string,
): Promise<RunningPart<{ url: string }>> {
  const log = createWriteStream(path, { flags: 'a', mode: 0o600 });
  await once(log, 'open');
  for (let attempt = 1; ; attempt += 1) {
    try {
      const server = await startEmbeddedClickHouse({
        dataDir: join(config.dataDir, 'clickhouse'),
        ...{ host: config.host, port },
        readerPassword: secrets.clickhouseReaderPassword,
        writerPassword: secrets.clickhouseWriterPassword,
        log: (line) => log.write(`${line}\n`),
      });
      const exited = server.exited.then(({ code, signal }) => {
        log.end();
        return signal ?? `exit code ${code}`;
      });
      return { pid: server.pid, ready: { url: server.url }, exited, stop: () => server.stop() };
    } catch (error) {
      if (attempt === TRIES) throw error;
      log.write(`${error instanceof Error ? error.message : error}\n`);
      await delay(TRY_AGAIN_MS);
    }
  }
}
