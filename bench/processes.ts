/** Processes of a benchmark: they end with it, whatever happens. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usablePort } from '../server/supervise/free-port.ts';
import type { PostgresMessage, StartPostgres } from '../server/supervise/postgres-messages.ts';

export interface Child<First> extends AsyncDisposable {
  readonly first: First;
  /** Memory and processor time that it has used. */
  usage(): Promise<{ memory: number; cpu: NodeJS.CpuUsage }>;
}

/** Starts a module and waits for its first word. */
export async function startChild<First>(
  module: URL,
  args: readonly string[],
  message?: object,
): Promise<Child<First>> {
  const profile = process.env['BENCH_CPU_PROF'];
  const child = fork(module, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [],
  });
  if (message) child.send(message);
  const first = (await heard(child)) as First;
  return {
    first,
    async usage() {
      child.send({});
      return (await heard(child)) as { memory: number; cpu: NodeJS.CpuUsage };
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      child.disconnect();
      await once(child, 'exit');
    },
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

/** Processor time of a process and its children, where the system tells (Linux); else 0. */
async function cpuOfFamily(pid: number): Promise<number> {
  const names = await readdir('/proc').catch(() => []);
  let ticks = 0;
  for (const name of names.filter((text) => /^\d+$/.test(text))) {
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // After the command in brackets: state, parent, … and from the 12th on user, system, and both of ended children.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (name !== String(pid) && fields[1] !== String(pid)) continue;
    for (const value of fields.slice(11, name === String(pid) ? 15 : 13)) ticks += Number(value);
  }
  return ticks / TICKS_A_SECOND;
}

/** A folder, and an embedded PostgreSQL in it with all that makes it durable switched on. */
export async function startPostgres(): Promise<
  { url: string; directory: string; cpuSeconds(): Promise<number> } & AsyncDisposable
> {
  const directory = await mkdtemp(join(tmpdir(), 'signalbox-bench-'));
  await mkdir(join(directory, 'postgres'));
  const port = await usablePort('127.0.0.1', 0, '');
  const start: StartPostgres = {
    directory: join(directory, 'postgres'),
    ...{ port, user: 'bench', password: 'bench', database: 'bench' },
  };
  const module = new URL('../server/supervise/postgres-process.ts', import.meta.url);
  const child = await startChild<PostgresMessage>(module, [], start);
  if (child.first.type === 'failed') throw new Error(child.first.message);
  const postmaster = child.first.pid;
  return {
    url: `postgres://bench:bench@127.0.0.1:${port}/bench`,
    directory,
    cpuSeconds: () => cpuOfFamily(postmaster),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Answers every HTTP request with nothing. */
export async function startNothing(): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
