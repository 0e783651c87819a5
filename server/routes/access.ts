/** Login of the console, tokens, and the audit trail. */
import { Type } from 'typebox';
import { SignalboxError } from '../../domain/errors.ts';
import { type Caller, callerOf, sessionOf, setSessionCookie } from '../auth/authenticate.ts';
import { type CreatedToken, SESSION_LIFE_SECONDS } from '../auth/credentials.ts';
import { createLoginLimit } from '../auth/login-limit.ts';
import type { Role } from '../auth/roles.ts';
import type { App } from '../http/app-type.ts';
import { pageOfWhole } from '../http/whole-list.ts';
import type { Parts } from '../parts.ts';
import { LoginBody, TokenBody } from '../schemas/access.ts';
import { Closed, Name, Named, PageOf, pageFields } from '../schemas/parts.ts';
import { type AuditRow, listAudit } from '../store/audit.ts';
import type { TokenSummary } from '../store/tokens.ts';

interface Me {
  readonly name: string;
  readonly role: Role;
  readonly actor: string;
}

export function accessRoutes(app: App, parts: Parts): void {
  loginRoutes(app, parts);
  tokenRoutes(app, parts);
  app.get(
    '/audit',
    {
      config: { role: 'operator' },
      schema: {
        ...{
          tags: ['audit'],
          summary: 'Who did what, newest first; nothing is ever changed in it',
        },
        querystring: Closed(pageFields),
        response: { 200: PageOf<AuditRow>('AuditEntry') },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      if (cursor !== undefined && !/^\d{1,18}$/.test(cursor)) {
        throw new SignalboxError('invalid-cursor');
      }
      const items = await listAudit(parts.db, { limit, beforeId: cursor ?? null });
      const last = items.length === limit ? items.at(-1) : undefined;
      return { items, nextCursor: last?.id ?? null };
    },
  );
}

function loginRoutes(app: App, { credentials, clock }: Parts): void {
  const tags = ['access'];
  const limit = createLoginLimit(clock);
  app.post(
    '/auth/login',
    {
      config: { role: 'open' },
      schema: {
        ...{ tags, summary: 'Open a session with a one-time code or a token', body: LoginBody },
        response: { 200: Named<Me>('Identity') },
      },
    },
    async (request, reply) => {
      limit.take(request.ip);
      const { code, token } = request.body;
      const by = code === undefined ? { token: token ?? '' } : { code };
      const { name, role, secret } = await credentials.openSession(by);
      setSessionCookie(request, reply, secret, SESSION_LIFE_SECONDS);
      const me = { name, role, actor: `token:${name}` };
      request.caller = { ...me, via: 'cookie' };
      return me;
    },
  );
  app.post(
    '/auth/logout',
    { config: { role: 'any' }, schema: { tags, summary: 'End the session', body: Closed({}) } },
    async (request, reply) => {
      const session = sessionOf(request);
      if (session !== undefined) await credentials.closeSession(session);
      setSessionCookie(request, reply, null, 0);
      return reply.code(204).send();
    },
  );
  app.get(
    '/auth/me',
    {
      config: { role: 'any' },
      schema: { tags, summary: 'Who calls', response: { 200: Named<Me>('Identity') } },
    },
    async (request) => identityOf(callerOf(request)),
  );
}

function identityOf({ name, role, actor }: Caller): Me {
  return { name, role, actor };
}

function tokenRoutes(app: App, { credentials }: Parts): void {
  const tags = ['access'];
  app.get(
    '/tokens',
    {
      config: { role: 'admin' },
      schema: {
        ...{ tags, summary: 'All tokens, without the secrets', querystring: Closed(pageFields) },
        response: { 200: PageOf<TokenSummary>('Token') },
      },
    },
    async ({ query }) => pageOfWhole(await credentials.listTokens(), query, ({ name }) => name),
  );
  app.post(
    '/tokens',
    {
      config: { role: 'admin' },
      schema: {
        ...{ tags, summary: 'Make a token; it is shown this once', body: TokenBody },
        response: { 201: Named<CreatedToken>('CreatedToken') },
      },
    },
    async (request, reply) => {
      const { name, role, environment = null } = request.body;
      if (environment !== null && role !== 'agent') {
        throw new SignalboxError(
          'invalid-request',
          'only tokens of role agent are limited to an environment',
          [{ path: '/environment', message: 'is for the role agent' }],
        );
      }
      const { actor } = callerOf(request);
      return reply.code(201).send(await credentials.createToken(name, role, actor, environment));
    },
  );
  app.post(
    '/tokens/:name/revoke',
    {
      config: { role: 'admin' },
      schema: {
        ...{ tags, summary: 'Make a token invalid', params: Closed({ name: Name }) },
        body: Closed({}),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await credentials.revokeToken(request.params.name);
      return reply.code(204).send(null);
    },
  );
}
