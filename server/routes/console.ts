/**
 * The console's files. Their names carry a hash of their content, so they may be kept for ever; the page itself
 * is asked for anew each time. Any path that is no file is a page of the console.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyReply } from 'fastify';
import { SignalboxError } from '../../domain/errors.ts';
import type { App } from '../http/app-type.ts';

const DIRECTORY = fileURLToPath(new URL('../../console/dist/', import.meta.url));
const A_YEAR_SECONDS = 31_536_000;

/** Paths that no page has: keys of assets may end like files as well. */
const ONLY_FILE = /^([^/]+\.[a-z0-9]+|assets\/[^/]+-[\w-]{8}\.(js|css|woff2))$/i;

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const NOT_BUILT = `<!doctype html><meta charset="utf-8"><title>Signalbox</title>
<p>Signalbox is running, but its console is not built.
<p>Run <code>node bin/build.js console</code> and load this page again. The API is at <code>/api/v1</code>.`;

export async function consoleRoutes(app: App): Promise<void> {
  await app.register(fastifyStatic, { root: DIRECTORY, serve: false, cacheControl: false });
  app.get(
    '/*',
    { config: { role: 'open', trace: false }, schema: { hide: true } },
    (request, reply) => {
      const path = (request.params as { '*': string })['*'];
      if (/^(api|v1)(\/|$)/.test(path)) {
        throw new SignalboxError('not-found', `GET /${path}`);
      }
      protect(reply);
      const isFile =
        /\.[a-z0-9]+$/i.test(path) && isWithin(path) && existsSync(join(DIRECTORY, path));
      // A page that was open during an update asks for files of before: a page in their place only confuses it.
      if (!isFile && ONLY_FILE.test(path)) throw new SignalboxError('not-found', `GET /${path}`);
      if (isFile && path !== 'index.html') {
        const kept = path.startsWith('assets/')
          ? `max-age=${A_YEAR_SECONDS}, immutable`
          : 'no-cache';
        return reply.header('cache-control', `public, ${kept}`).sendFile(path);
      }
      reply.header('cache-control', 'no-cache');
      if (existsSync(join(DIRECTORY, 'index.html'))) return reply.sendFile('index.html');
      return reply.type('text/html; charset=utf-8').send(NOT_BUILT);
    },
  );
}

/** Whether anything else is a file must not be told either. */
function isWithin(path: string): boolean {
  return join(DIRECTORY, path).startsWith(DIRECTORY);
}

function protect(reply: FastifyReply): void {
  reply.headers({
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  });
}
