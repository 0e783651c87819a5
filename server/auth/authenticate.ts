/**
 * Who calls, and may he? Runs before the body is read. Every route states its need in `config.role`; one
 * that forgets to cannot be registered. A browser's cookie counts for writes only from the same origin.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SignalboxError } from '../../domain/errors.ts';
import type { Identity } from '../store/sessions.ts';
import type { Credentials } from './credentials.ts';
import { type Need, type Role, satisfies } from './roles.ts';

export interface Caller {
  /** `token:NAME`; two calls of the same actor count as the same person. */
  readonly actor: string;
  readonly name: string;
  readonly role: Role;
  readonly via: 'token' | 'cookie';
  /** The one environment that an agent's token is for; null or absent for any. */
  readonly environment?: string | null;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The least role that the route needs. */
    role?: Need;
    /** False for calls that machines make all the time: they leave no row in the audit trail. */
    audit?: boolean;
    /** False where a span for each call would only be noise. */
    trace?: boolean;
  }
  interface FastifyRequest {
    caller: Caller | null;
  }
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Browsers send cookies of a host to all of its ports, so the name carries the port. */
const COOKIE = 'signalbox_session';

/** Adds authentication to all routes that are registered after it. */
export function addAuthentication(app: FastifyInstance, credentials: Credentials): void {
  app.decorateRequest('caller', null);
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.role === undefined) throw new Error(`${method} ${url} states no role`);
  });
  app.addHook('onRequest', async (request, reply) => {
    const need = request.routeOptions.config.role ?? 'open';
    if (need === 'open') return;
    const caller = await identify(request, credentials);
    if (!caller) {
      reply.header('www-authenticate', 'Bearer realm="signalbox"');
      throw new SignalboxError('unauthenticated');
    }
    request.caller = caller;
    if (!satisfies(caller.role, need)) {
      throw new SignalboxError(
        'forbidden',
        `this needs the role ${need}; the token has ${caller.role}`,
      );
    }
    if (caller.via === 'cookie' && !SAFE_METHODS.has(request.method)) refuseOtherOrigin(request);
  });
}

async function identify(request: FastifyRequest, credentials: Credentials): Promise<Caller | null> {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() === 'bearer' && token) {
    const found = await credentials.identify('token', token);
    return found && { actor: `token:${found.name}`, ...pick(found), via: 'token' };
  }
  const session = sessionOf(request);
  if (session === undefined) return null;
  const found = await credentials.identify('session', session);
  return found && { actor: `token:${found.name}`, ...pick(found), via: 'cookie' };
}

function pick({ name, role, environment = null }: Identity): Pick<Caller, keyof Identity> {
  return { name, role, environment };
}

/** A page of another origin can make a browser send the cookie, but not a false Origin. */
function refuseOtherOrigin(request: FastifyRequest): void {
  const { origin } = request.headers;
  if (origin !== undefined && URL.parse(origin)?.host === request.host) return;
  throw new SignalboxError('forbidden', 'a write with a cookie must come from the same origin');
}

function cookieName(request: FastifyRequest): string {
  return `${COOKIE}_${URL.parse(`http://${request.host}`)?.port || '80'}`;
}

/** The secret of the request's session cookie. */
export function sessionOf(request: FastifyRequest): string | undefined {
  const name = cookieName(request);
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

/** Sets the session cookie, or takes it away where `secret` is null. */
export function setSessionCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  secret: string | null,
  lifeSeconds: number,
): void {
  const secure = request.protocol === 'https' ? '; Secure' : '';
  const life = secret === null ? 0 : lifeSeconds;
  reply.header(
    'set-cookie',
    `${cookieName(request)}=${secret ?? ''}; Path=/; Max-Age=${life}; HttpOnly; SameSite=Strict${secure}`,
  );
}

/** The caller of a route that is not open. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new SignalboxError('unauthenticated');
  return request.caller;
}
