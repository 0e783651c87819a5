/** Processes and folders of a benchmark: they go with it, whatever happens, also on Ctrl+C. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedClickHouse } from '../collector/embedded/start.ts';
import { usablePort } from '../server/supervise/free-port.ts';
import type { PostgresMessage, StartPostgres } from '../server/supervise/postgres-messages.ts';

/** Ends of what stands now, in the order in which it was made. */
const standing: (() => Promise<void>)[] = [];

/** @returns what ends it, once, whoever calls; the benchmark's end does in any case */
export function standsUntilTheEnd(dispose: () => Promise<void>): () => Promise<void> {
  let gone: Promise<void> | undefined;
  const end = () => {
    gone ??= dispose().finally(() => {
      const place = standing.indexOf(end);
      if (place >= 0) standing.splice(place, 1);
    });
    return gone;
  };
  standing.push(end);
  return end;
}

/** Ends all that stands, the latest first. */
export async function endAll(): Promise<void> {
  for (let last = standing.at(-1); last; last = standing.at(-1)) {
    await last().catch((error: unknown) => console.error(error));
  }
}

/** A temporary folder; it is gone in the end. */
export async function makeFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'signalbox-bench-'));
  return { path, remove: standsUntilTheEnd(() => rm(path, { recursive: true, force: true })) };
}

export interface Usage {
  /** Resident bytes. */
  readonly memory: number;
  /** Processor time, user and system. */
  readonly cpuSeconds: number;
}

export interface Child<First> extends AsyncDisposable {
  readonly first: First;
  /** Memory and processor time that it has used. */
  usage(): Promise<Usage>;
}

export interface ChildOptions {
  /** Sent before its first word is awaited. */
  readonly message?: object;
  /** File for what it prints; it prints to the benchmark's own output unless told. */
  readonly logPath?: string;
  readonly nodeOptions?: readonly string[];
}

/** Starts a module and waits for its first word. It ends when the channel to it closes. */
export async function startChild<First>(
  module: URL,
  args: readonly string[],
  { message, logPath, nodeOptions = [] }: ChildOptions = {},
): Promise<Child<First>> {
  const profile = process.env['BENCH_CPU_PROF'];
  const log = logPath === undefined ? undefined : await open(logPath, 'a');
  const child = fork(module, args, {
    stdio: ['ignore', log?.fd ?? 'inherit', log?.fd ?? 'inherit', 'ipc'],
    // A group of its own: Ctrl+C is for the benchmark, which ends it in order.
    detached: true,
    execArgv: [...nodeOptions, ...(profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [])],
  });
  const exited = once(child, 'exit');
  await log?.close();
  const end = standsUntilTheEnd(async () => {
    if (child.connected) child.disconnect();
    if (child.exitCode === null && child.signalCode === null) await exited;
  });
  if (message) child.send(message);
  const first = (await heard(child)) as First;
  return {
    first,
    async usage() {
      child.send({});
      const { memory, cpu } = (await heard(child)) as { memory: number; cpu: NodeJS.CpuUsage };
      return { memory, cpuSeconds: (cpu.user + cpu.system) / 1e6 };
    },
    [Symbol.asyncDispose]: end,
  };
}

async function heard(child: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('a process of the benchmark ended');
  });
  const message = once(child, 'message', { signal });
  try {
    const [word] = (await Promise.race([message, ended])) as [unknown];
    return word;
  } finally {
    over.abort();
    await Promise.allSettled([message, ended]);
  }
}

const TICKS_A_SECOND = 100;

/** Ids of a process and its children, with what `/proc/…/stat` has behind the name; empty where there is no `/proc`. */
async function family(pid: number): Promise<{ id: string; fields: readonly string[] }[]> {
  const names = await readdir('/proc').catch(() => []);
  const found = [];
  for (const id of names.filter((text) => /^\d+$/.test(text))) {
    const text = await readFile(`/proc/${id}/stat`, 'utf8').catch(() => '');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (id === String(pid) || fields[1] === String(pid)) found.push({ id, fields });
  }
  return found;
}

/** Processor time of a process and its children, where the system tells (Linux); else 0. */
async function cpuOfFamily(pid: number): Promise<number> {
  let ticks = 0;
  // From the 12th on: user, system, and both of children that have ended.
  for (const { id, fields } of await family(pid)) {
    for (const value of fields.slice(11, id === String(pid) ? 15 : 13)) ticks += Number(value);
  }
  return ticks / TICKS_A_SECOND;
}

/** Bytes of a process and its children, what they share counted once (Linux); else 0. */
async function memoryOfFamily(pid: number): Promise<number> {
  let kibibytes = 0;
  for (const { id } of await family(pid)) {
    const text = await readFile(`/proc/${id}/smaps_rollup`, 'utf8').catch(() => '');
    kibibytes += Number(/^Pss: +(\d+) kB/m.exec(text)?.[1] ?? 0);
  }
  return kibibytes * 1_024;
}

export interface Postgres extends AsyncDisposable {
  readonly url: string;
  /** Where its data and its log are. */
  readonly directory: string;
  cpuSeconds(): Promise<number>;
  memory(): Promise<number>;
}

/** A folder, and an embedded PostgreSQL in it with all that makes it durable switched on. */
export async function startPostgres(): Promise<Postgres> {
  const { path: directory, remove } = await makeFolder();
  await mkdir(join(directory, 'postgres'));
  const port = await usablePort('127.0.0.1', 0, '');
  const start: StartPostgres = {
    directory: join(directory, 'postgres'),
    ...{ port, user: 'bench', password: 'bench', database: 'bench' },
  };
  const module = new URL('../server/supervise/postgres-process.ts', import.meta.url);
  const logPath = join(directory, 'postgres.log');
  const child = await startChild<PostgresMessage>(module, [], { message: start, logPath });
  if (child.first.type === 'failed') throw new Error(child.first.message);
  const postmaster = child.first.pid;
  return {
    url: `postgres://bench:bench@127.0.0.1:${port}/bench`,
    directory,
    cpuSeconds: () => cpuOfFamily(postmaster),
    memory: () => memoryOfFamily(postmaster),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await remove();
    },
  };
}

export interface ClickHouse extends AsyncDisposable {
  /** With the name and password of who writes. */
  readonly url: string;
  /** `name:password` of who reads; empty for the same. */
  readonly reader: string;
  cpuSeconds(): Promise<number>;
  memory(): Promise<number>;
}

/** The embedded ClickHouse, in a folder of its own. */
export async function startClickHouse(): Promise<ClickHouse> {
  const { path, remove } = await makeFolder();
  const server = await startEmbeddedClickHouse({
    ...{ dataDir: join(path, 'clickhouse'), host: '127.0.0.1', port: 0 },
    ...{ readerPassword: 'bench-reader', writerPassword: 'bench-writer', log: () => undefined },
  });
  const stop = standsUntilTheEnd(() => server.stop());
  return {
    url: server.url.replace('//', '//writer:bench-writer@'),
    reader: 'reader:bench-reader',
    cpuSeconds: () => cpuOfFamily(server.pid),
    memory: () => memoryOfFamily(server.pid),
    async [Symbol.asyncDispose]() {
      await stop();
      await remove();
    },
  };
}

/** Answers every HTTP request with nothing, in place of a ClickHouse. */
export async function startNothing(): Promise<ClickHouse> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reader: '',
    cpuSeconds: async () => 0,
    memory: async () => 0,
    [Symbol.asyncDispose]: standsUntilTheEnd(async () => {
      server.closeAllConnections();
      server.close();
    }),
  };
}
