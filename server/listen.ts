import type { FastifyInstance } from 'fastify';
import type { App } from './http/app-type.ts';

/** A port that cannot be listened on, in words that say what to do. */
class ListenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
  }
}

/**
 * Listens, and gives the URL under which others reach it.
 * @param setting named in the advice where the port is taken
 */
export async function listen(
  app: FastifyInstance | App,
  host: string,
  port: number,
  setting: string,
): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw listenError(error, host, port, setting);
  }
  return `http://${reachableHost(host)}:${portOf(app) ?? port}`;
}

/** Turns what listening failed with into an error for a person. */
export function listenError(error: unknown, host: string, port: number, setting: string): Error {
  const { code } = error as { code?: string };
  const advice = `choose another with ${setting} (0 picks a free one)`;
  if (code === 'EADDRINUSE') {
    return new ListenError(`Port ${port} is in use: end what listens there, or ${advice}`, {
      cause: error,
    });
  }
  if (code === 'EACCES') {
    return new ListenError(`Port ${port} needs more rights than this user has: ${advice}`, {
      cause: error,
    });
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new ListenError(`${host} is not an address of this machine: correct SIGNALBOX_HOST`, {
      cause: error,
    });
  }
  return error instanceof Error ? error : new ListenError(String(error));
}

/** The port that an application listens on. */
export function portOf(app: Pick<FastifyInstance, 'server'>): number | null {
  const address = app.server.address();
  return address === null || typeof address === 'string' ? null : address.port;
}

/** Another name for 'all addresses' that a client can connect to. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
