/**
 * The embedded ClickHouse: a process that holds the engine and answers ClickHouse's HTTP protocol.
 * It writes only below its data directory. When it is ready it prints one line of JSON with its port;
 * it ends at SIGTERM or SIGINT, and by itself when the process that started it is gone.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { lockDirectory } from './directory-lock.ts';
import { openEngine } from './engine.ts';
import { emptyIncoming } from './incoming.ts';
import { readOptions, type ServerOptions } from './options.ts';
import { listen } from './server.ts';

const PARENT_CHECK_MS = 500;
const STOP_DEADLINE_MS = 4_000;

try {
  await main(readOptions(process.argv.slice(2), process.env));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

async function main(options: ServerOptions): Promise<void> {
  const parent = process.ppid;
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(dataDir);
  // The engine expands signs such as `*` in file names; relative to this directory none can occur.
  process.chdir(dataDir);
  emptyIncoming();
  const engine = await openEngine(dataDir);
  const server = await listen(engine, options);
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(0), STOP_DEADLINE_MS).unref();
    await server.close();
    await engine.close();
    lock.release();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  setInterval(() => {
    if (process.ppid !== parent) void stop();
  }, PARENT_CHECK_MS).unref();
  const { version } = engine;
  process.stdout.write(`${JSON.stringify({ ready: true, port: server.port, version })}\n`);
}
