/**
 * Every failure leaves as `application/problem+json` with a code of the one table: what was thrown for a
 * user as it is, what Fastify and PostgreSQL refuse by what it means, and everything else as `internal`,
 * whose details stand only in the log.
 */
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, type ErrorCode, SignalboxError, toProblem } from '../../domain/errors.ts';
import { faultsOf, TIME_FORMATS } from './validation.ts';

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';
const RETRY_AFTER_SECONDS = 2;

/** Fastify's own refusals. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid-request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed-json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed-json',
  FST_ERR_BAD_URL: 'invalid-request',
  FST_ERR_MAX_PARAM_LENGTH: 'invalid-request',
};

/** SQLSTATE of what a value can be at fault for. */
const VALUE_STATES = new Set(['22003', '22007', '22008', '22021', '22023', '22P05']);
const AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
/** What the driver says without a code. */
const BROKEN =
  /timeout exceeded when trying|Connection terminated|connection error and is not queryable/;
const AWAY_STATES = /^(08...|57P0[123]|53[03]00)$/;

/** The error of the table that stands for whatever was thrown. */
function toSignalboxError(error: unknown): SignalboxError {
  if (error instanceof SignalboxError) return error;
  const { code = '', message = '', validation, validationContext } = error as Partial<FastifyError>;
  if (validation) {
    const timesOnly = validation.every(
      ({ keyword, params }) => keyword === 'format' && TIME_FORMATS.has(String(params['format'])),
    );
    return new SignalboxError(
      timesOnly ? 'invalid-time' : 'invalid-request',
      undefined,
      faultsOf(validation, validationContext),
    );
  }
  const known = FASTIFY_CODES[code];
  if (known) return new SignalboxError(known, message || undefined);
  if (code.startsWith('Z_')) return new SignalboxError('malformed-compression', message);
  if (VALUE_STATES.has(code)) return new SignalboxError('invalid-request', message);
  if (code === '22P02') return new SignalboxError('not-found');
  if (code === '53100' || code === 'ENOSPC') return new SignalboxError('disk-full');
  if (AWAY.has(code) || AWAY_STATES.test(code) || BROKEN.test(message)) {
    return new SignalboxError('unavailable', 'PostgreSQL or ClickHouse does not answer');
  }
  return new SignalboxError('internal');
}

/** The code under which an error is answered. */
export function codeOf(error: unknown): ErrorCode {
  return toSignalboxError(error).code;
}

/** What Fastify takes with its settings: it refuses some requests before any handler of an application. */
export const PROBLEM_OPTIONS = {
  frameworkErrors(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
    sendProblem(reply, toSignalboxError(error));
  },
  clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers-too-large' : 'invalid-request';
    const problem = JSON.stringify(toProblem(new SignalboxError(code)));
    const head = [
      `HTTP/1.1 ${ERRORS[code].status} ${ERRORS[code].title}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(problem)}`,
      'connection: close',
    ];
    if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${problem}`);
    socket.destroySoon();
  },
} as const;

/** Answers with the problem of an error. */
function sendProblem(reply: FastifyReply, error: SignalboxError): FastifyReply {
  const { status } = ERRORS[error.code];
  // Whoever is still sending reads no answer from a connection that is closed on him: the rest is read away.
  if (status === 413) reply.removeHeader('connection');
  if (status === 429 || status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  return reply.code(status).type(PROBLEM_TYPE).send(toProblem(error));
}

/** Makes all failures of an application problems. */
export function addProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const problem = toSignalboxError(error);
    if (problem.code === 'internal') {
      request.log.error({ err: error, requestId: request.id }, 'a request failed');
      const known = new SignalboxError('internal', `request ${request.id}`);
      return sendProblem(reply, known);
    }
    if (problem.code === 'unavailable') request.log.warn({ err: error }, 'a part is not reachable');
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, new SignalboxError('not-found', `${request.method} ${pathOf(request)}`)),
  );
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
