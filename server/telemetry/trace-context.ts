/** Spans of API calls, and the trace context that is handed on to runs. */
import {
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const tracer = trace.getTracer('signalbox');

declare module 'fastify' {
  interface FastifyRequest {
    span: Span | null;
  }
}

/** W3C `traceparent` of the call that is being answered, undefined where nothing is recorded. */
export function currentTraceparent(): string | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier['traceparent'];
}

/** Makes one span a call, child of the caller's where one came along. */
export function addSpans(app: FastifyInstance): void {
  app.decorateRequest('span', null);
  app.addHook('onRequest', (request, _reply, done) => {
    const { config, url } = request.routeOptions;
    if (config.trace === false || url === undefined) return done();
    const parent = propagation.extract(context.active(), request.headers);
    const span = tracer.startSpan(
      `${request.method} ${url}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'http.request.method': request.method,
          'http.route': url,
          'url.path': request.url.split('?', 1)[0] ?? '',
        },
      },
      parent,
    );
    request.span = span;
    done();
  });
  // Reading a body leaves the asynchronous context, so it is entered only once the body is there.
  app.addHook('preHandler', (request, _reply, done) => {
    if (!request.span) return done();
    context.with(trace.setSpan(context.active(), request.span), done);
  });
  app.addHook('onResponse', async (request, reply) => endSpan(request, reply.statusCode));
}

function endSpan(request: FastifyRequest, status: number): void {
  const { span } = request;
  if (!span) return;
  span.setAttribute('http.response.status_code', status);
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
