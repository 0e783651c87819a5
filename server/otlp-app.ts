/**
 * The OTLP receiver on its own port. Bodies are handed to the collector as they came, still compressed, and
 * its answer goes back byte for byte. No span is made here: the product's own telemetry arrives here too.
 */
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { Collector, OtlpSignal } from '../collector/service.ts';
import { addAuthentication } from './auth/authenticate.ts';
import type { Credentials } from './auth/credentials.ts';
import { refuseOtherMethods } from './http/methods.ts';
import { addProblems, PROBLEM_OPTIONS } from './http/problems.ts';

const BODY_LIMIT_BYTES = 32 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 60_000;
const SIGNALS: readonly OtlpSignal[] = ['traces', 'metrics', 'logs'];

export function buildOtlpApp(
  { collector, credentials }: { collector: Collector; credentials: Credentials },
  log: FastifyBaseLogger,
): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...PROBLEM_OPTIONS,
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
  });
  addProblems(app);
  addAuthentication(app, credentials);
  const refuseOthers = refuseOtherMethods(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  for (const signal of SIGNALS) {
    app.post(`/v1/${signal}`, { config: { role: 'ingest' } }, async (request, reply) => {
      const answer = await collector.receiveOtlp(signal, {
        contentType: request.headers['content-type'] ?? '',
        contentEncoding: request.headers['content-encoding'] ?? null,
        body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      });
      if (answer.retryAfterSeconds !== undefined) {
        reply.header('retry-after', answer.retryAfterSeconds);
      }
      return reply.code(answer.status).type(answer.contentType).send(Buffer.from(answer.body));
    });
  }
  refuseOthers();
  return app;
}
