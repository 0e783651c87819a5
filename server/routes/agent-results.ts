/**
 * Large results, cached results and artifacts, as agents send and ask for them. Content is streamed to and from the
 * result store: the server never has more of it in memory than a chunk.
 */
import { Type } from 'typebox';
import { SignalboxError } from '../../domain/errors.ts';
import { type CacheReply, MAX_SPILLED_BYTES } from '../../domain/result.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { ArtifactBody, BlobPath, BlobQuery, CacheBody, StoreQuery } from '../schemas/artifacts.ts';

const tags = ['agent protocol'];
const config = { role: 'agent', audit: false, trace: false } as const;
const bodyLimit = 64 * 1024 * 1024;
const OCTETS = 'application/octet-stream';
const BySession = Type.Object({ sessionId: Type.String({ minLength: 1, maxLength: 100 }) });

export function agentResultRoutes(app: App, parts: Parts): void {
  const { agents } = parts.orchestrator;
  void app.register(async (scope: App) => contentRoutes(scope, parts));
  app.post(
    '/agent/:sessionId/cache',
    {
      ...{ config, bodyLimit },
      schema: {
        ...{ tags, params: BySession, body: CacheBody },
        response: { 200: Type.Unsafe<CacheReply>({ type: 'object' }) },
      },
    },
    ({ params, body }) => agents.cache(params.sessionId, body),
  );
  app.post(
    '/agent/:sessionId/artifacts',
    {
      ...{ config, bodyLimit },
      schema: { tags, params: BySession, body: ArtifactBody, response: { 204: Type.Null() } },
    },
    async ({ params, body }, reply) => {
      await agents.artifact(params.sessionId, body);
      return reply.code(204).send(null);
    },
  );
}

function contentRoutes(app: App, { orchestrator }: Parts): void {
  const { agents } = orchestrator;
  // Bodies of this type are not read here but handed on as they come.
  app.addContentTypeParser(OCTETS, (_request, payload, done) => done(null, payload));
  app.put(
    '/agent/:sessionId/blobs/:runId/:name',
    {
      ...{ config, bodyLimit: MAX_SPILLED_BYTES },
      schema: {
        ...{ tags, params: BlobPath, querystring: BlobQuery },
        response: { 200: Type.Object({ store: Type.String() }) },
      },
    },
    async (request) => {
      const { sessionId, runId, name } = request.params;
      const bytes = Number(request.headers['content-length'] ?? Number.NaN);
      if (!Number.isSafeInteger(bytes) || request.headers['content-type'] !== OCTETS) {
        throw new SignalboxError('invalid-request', `send ${OCTETS} with a Content-Length`);
      }
      const blob = { key: `${runId}/${name}`, bytes, sha256: request.query.sha256 };
      return { store: await agents.putBlob(sessionId, blob, request.raw) };
    },
  );
  app.get(
    '/agent/:sessionId/blobs/:runId/:name',
    { config, schema: { tags, params: BlobPath, querystring: StoreQuery } },
    async (request, reply) => {
      const { sessionId, runId, name } = request.params;
      const of = { store: request.query.store, key: `${runId}/${name}` };
      const content = await agents.getBlob(sessionId, of);
      return reply.type(OCTETS).send(content);
    },
  );
}
