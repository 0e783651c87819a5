/**
 * Reads JSON bodies, compressed by gzip or not. What would fail deep inside is refused here: characters that
 * PostgreSQL cannot store (NUL, halves of surrogate pairs) with their path, `__proto__`, and more levels than
 * whatever walks through a value can bear.
 */
import { createGunzip } from 'node:zlib';
import type { FastifyInstance, RequestPayload } from 'fastify';
import { type FieldFault, SignalboxError } from '../../domain/errors.ts';

/** Only such escapes can stand for what cannot be stored, so that other bodies are not looked through. */
const SUSPECT = /\\u(0000|[dD][89a-fA-F])|__proto__|\0/;
const MAX_FAULTS = 20;
const MAX_LEVELS = 200;
const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [
  0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d,
];

export function addJsonBody(app: FastifyInstance): void {
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    ['application/json', 'application/cloudevents+json'],
    { parseAs: 'string' },
    (request, body, done) => {
      try {
        const text = String(body);
        // Agents send the most by far, of what they have encoded themselves.
        if (request.routeOptions.config.role !== 'agent') refuseDeep(text);
        done(null, parse(text));
      } catch (error) {
        done(error as Error);
      }
    },
  );
  app.addHook('preParsing', async (request, _reply, payload) => {
    const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity';
    if (encoding === 'identity' || request.routeOptions.config.role === 'agent') return payload;
    if (encoding !== 'gzip') {
      throw new SignalboxError('unsupported-media-type', 'Content-Encoding may be gzip');
    }
    return unpacked(payload);
  });
  // A body may be left out where none of its fields is needed.
  app.addHook('preValidation', async (request) => {
    if (request.body === undefined && request.routeOptions.schema?.body !== undefined) {
      request.body = {};
    }
  });
}

/** The body as it was before compression; Fastify counts its bytes against the limit of the route. */
function unpacked(payload: RequestPayload): RequestPayload {
  const plain = Object.assign(createGunzip(), { receivedEncodedLength: 0 });
  payload.on('data', (chunk: Buffer) => {
    plain.receivedEncodedLength += chunk.length;
  });
  payload.on('error', (error) => plain.destroy(error));
  return payload.pipe(plain);
}

/** @throws SignalboxError for lists and objects within each other, deeper than any of ours */
function refuseDeep(text: string): void {
  let level = 0;
  let inText = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inText) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) inText = false;
    } else if (code === QUOTE) inText = true;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) level += 1;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) level -= 1;
    if (level > MAX_LEVELS) {
      throw new SignalboxError(
        'invalid-request',
        `more than ${MAX_LEVELS} levels within each other`,
      );
    }
  }
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SignalboxError('malformed-json', (error as Error).message.slice(0, 200));
  }
  if (SUSPECT.test(text)) {
    const faults: FieldFault[] = [];
    findUnstorable(value, '', faults);
    if (faults.length > 0) throw new SignalboxError('invalid-request', undefined, faults);
  }
  return value;
}

/** Collects paths of texts that PostgreSQL cannot store. */
function findUnstorable(value: unknown, path: string, faults: FieldFault[]): void {
  if (faults.length >= MAX_FAULTS) return;
  if (typeof value === 'string') {
    const fault = faultOfText(value);
    if (fault) faults.push({ path, message: fault });
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) findUnstorable(item, `${path}/${index}`, faults);
  } else if (value !== null && typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) {
      const fault = key === '__proto__' ? 'is not allowed as a name' : faultOfText(key);
      if (fault) faults.push({ path: `${path}/${JSON.stringify(key)}`, message: fault });
      findUnstorable(item, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, faults);
    }
  }
}

/** Why a text cannot be stored, if it cannot. */
function faultOfText(text: string): string | undefined {
  if (text.includes('\0')) return 'must not hold the character NUL';
  return text.isWellFormed() ? undefined : 'must not hold half a surrogate pair';
}
