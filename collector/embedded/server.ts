/** The HTTP server: routes, users, and errors in ClickHouse's form. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { authenticate, type Passwords } from './authenticate.ts';
import type { Engine } from './engine.ts';
import { exception } from './exceptions.ts';
import { makeExecutor } from './execute.ts';
import type { ServerOptions } from './options.ts';
import { Reply } from './reply.ts';
import { readProtocolRequest } from './request.ts';

const MAX_URI_BYTES = 1_048_576;
const MAX_CONNECTIONS = 512;
const KEEP_ALIVE_MS = 30_000;
const STOP_GRACE_MS = 1_500;

/** A server that listens. */
export interface ListeningServer {
  readonly port: number;
  /** Takes no more requests, waits a moment for those under way, and cuts off the rest. */
  close(): Promise<void>;
}

/**
 * Listens.
 * @throws Error that says what to do when the port is taken
 */
export async function listen(engine: Engine, options: ServerOptions): Promise<ListeningServer> {
  const passwords: Passwords = { reader: options.readerPassword, writer: options.writerPassword };
  const executor = makeExecutor(engine);
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const reply = new Reply(engine, request, response);
    try {
      const url = new URL(request.url ?? '/', 'http://localhost');
      if (answerPlain(request, url, reply)) return;
      const user = authenticate(request, url, passwords);
      const protocol = readProtocolRequest(request, url);
      await executor.execute({ user, protocol, request, reply });
    } catch (error) {
      reply.fail(error);
    }
  };
  const server = createServer(
    { maxHeaderSize: MAX_URI_BYTES, keepAliveTimeout: KEEP_ALIVE_MS },
    handle,
  );
  server.maxConnections = MAX_CONNECTIONS;
  const { host, port } = options;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explain(error, host, port)));
    server.listen({ host, port }, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS).unref();
      await closed;
      executor.close();
    },
  };
}

function answerPlain(request: IncomingMessage, url: URL, reply: Reply): boolean {
  const asks = request.method === 'GET' || request.method === 'HEAD';
  if (asks && (url.pathname === '/ping' || url.pathname === '/replicas_status')) {
    reply.plain(200, 'Ok.\n');
    return true;
  }
  if (asks && url.pathname === '/' && url.search === '') {
    reply.plain(200, 'Ok.\n');
    return true;
  }
  if (url.pathname !== '/') {
    reply.plain(404, `There is no handle ${url.pathname}\n\nUse / or /ping for health checks.\n`);
    return true;
  }
  if (!asks && request.method !== 'POST' && request.method !== 'PUT') {
    throw exception(
      'NOT_IMPLEMENTED',
      `The method ${request.method} is not known: use GET or POST.`,
    );
  }
  return false;
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(
      `port ${port} on ${host} is in use by another program: stop it, or give another --clickhouse-port (0 picks a free one)`,
    );
  }
  if (error.code === 'EACCES') {
    return new Error(`port ${port} may not be used by this user: give one above 1023`);
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new Error(`${host} is not an address of this machine: give another --host`);
  }
  return error;
}
