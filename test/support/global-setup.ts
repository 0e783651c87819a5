/**
 * The part that all test files of one vitest run share: one PostgreSQL. It starts when the first test
 * file asks for it, so that a run of pure tests starts nothing. Test files live in other processes,
 * hence the question goes over HTTP.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { PostgresProcessMessage } from './postgres-process.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** `GET` answers with the URL of the run's PostgreSQL, which it starts when need be. */
    sharedPostgres: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let child: ChildProcess | undefined;
  let url: Promise<string> | undefined;
  const server = createServer((_request, response) => {
    url ??= startPostgres((started) => {
      child = started;
    });
    url.then(
      (text) => response.end(text),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  project.provide('sharedPostgres', await listen(server));
  return async () => {
    server.close();
    await url?.catch(() => undefined);
    if (child && child.exitCode === null) {
      child.disconnect();
      await once(child, 'exit');
    }
  };
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function startPostgres(onChild: (child: ChildProcess) => void): Promise<string> {
  const child = fork(join(import.meta.dirname, 'postgres-process.ts'), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
  });
  onChild(child);
  const ended = once(child, 'exit').then(() => ({ error: 'the PostgreSQL process ended' }));
  const told = once(child, 'message').then(([message]) => message as PostgresProcessMessage);
  const message = await Promise.race([told, ended]);
  if ('error' in message) throw new Error(message.error);
  return message.url;
}
