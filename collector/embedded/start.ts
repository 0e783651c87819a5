/**
 * Starts the embedded ClickHouse as a process of its own and hands back its URL. The engine is native
 * code: in its own process it can take neither the product's memory nor its event loop down.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ENGINE_THREADS, PASSWORD_VARIABLES } from './options.ts';

/** What the server needs to start. */
export interface EmbeddedClickHouseOptions {
  /** Directory of the data; made when it is missing. One process at a time may use it. */
  readonly dataDir: string;
  /** Address to listen on. */
  readonly host: string;
  /** Port to listen on; 0 picks a free one. */
  readonly port: number;
  readonly readerPassword: string;
  readonly writerPassword: string;
  /** Takes each line that the process prints, besides its ready line. */
  readonly log: (line: string) => void;
}

/** A running embedded ClickHouse. */
export interface EmbeddedClickHouse {
  /** `http://host:port`, without credentials. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the process has ended, however that came about. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Ends the process: SIGTERM, and SIGKILL after five seconds. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;

/**
 * Starts the server and waits until it answers.
 * @throws Error with the process's own words when it ends before it is ready
 */
export async function startEmbeddedClickHouse(
  options: EmbeddedClickHouseOptions,
): Promise<EmbeddedClickHouse> {
  const main = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
  const child = spawn(
    process.execPath,
    [main, '--data-dir', options.dataDir, '--host', options.host, '--port', String(options.port)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        // The engine takes its time zone and Node its thread count from the environment at start.
        TZ: 'UTC',
        UV_THREADPOOL_SIZE: String(ENGINE_THREADS),
        [PASSWORD_VARIABLES.reader]: options.readerPassword,
        [PASSWORD_VARIABLES.writer]: options.writerPassword,
      },
    },
  );
  const exited = observeExit(child);
  const port = await readyPort(child, options.log, exited);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host;
  return {
    url: `http://${reachable}:${port}`,
    port,
    pid: child.pid ?? -1,
    exited,
    stop: () => stop(child, exited),
  };
}

async function observeExit(child: ChildProcess): EmbeddedClickHouse['exited'] {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Reads the port from the ready line; passes every other line on. */
async function readyPort(
  child: ChildProcess,
  log: (line: string) => void,
  exited: EmbeddedClickHouse['exited'],
): Promise<number> {
  const { stdout, stderr } = child;
  if (!stdout || !stderr) throw new Error('the embedded ClickHouse has no output');
  const lastWords: string[] = [];
  createInterface({ input: stderr }).on('line', (line) => {
    lastWords.push(line);
    if (lastWords.length > 20) lastWords.shift();
    log(line);
  });
  const abort = new AbortController();
  const ready = new Promise<number>((resolve) => {
    createInterface({ input: stdout }).on('line', (line) => {
      const port = portOf(line);
      if (port === undefined) log(line);
      else resolve(port);
    });
  });
  const ended = exited.then(({ code, signal }) => {
    throw new Error(
      `the embedded ClickHouse ended before it was ready (${signal ?? `exit code ${code}`}): ${lastWords.join('\n') || 'it said nothing'}`,
    );
  });
  const late = delay(START_TIMEOUT_MS, undefined, { signal: abort.signal }).then(() => {
    child.kill('SIGKILL');
    throw new Error(`the embedded ClickHouse was not ready within ${START_TIMEOUT_MS / 1_000} s`);
  });
  ended.catch(() => undefined);
  late.catch(() => undefined);
  try {
    return await Promise.race([ready, ended, late]);
  } finally {
    abort.abort();
  }
}

function portOf(line: string): number | undefined {
  if (!line.startsWith('{"ready":true')) return undefined;
  const message = JSON.parse(line) as { port: number };
  return message.port;
}

async function stop(child: ChildProcess, exited: EmbeddedClickHouse['exited']): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    await exited;
    return;
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  const closed = once(child, 'exit');
  child.kill('SIGTERM');
  await closed;
  clearTimeout(timer);
  await exited;
}
