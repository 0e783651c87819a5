/**
 * Reads JSON bodies. Characters that PostgreSQL cannot store (NUL, halves of surrogate pairs) are refused
 * here with their path, before they fail deep inside; so is `__proto__`.
 */
import type { FastifyInstance } from 'fastify';
import { type FieldFault, SignalboxError } from '../../domain/errors.ts';

/** Only such escapes can stand for what cannot be stored, so that other bodies are not looked through. */
const SUSPECT = /\\u(0000|[dD][89a-fA-F])|__proto__|\0/;
const MAX_FAULTS = 20;

export function addJsonBody(app: FastifyInstance): void {
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    ['application/json', 'application/cloudevents+json'],
    { parseAs: 'string' },
    (_request, body, done) => {
      try {
        done(null, parse(String(body)));
      } catch (error) {
        done(error as Error);
      }
    },
  );
  // A body may be left out where none of its fields is needed.
  app.addHook('preValidation', async (request) => {
    if (request.body === undefined && request.routeOptions.schema?.body !== undefined) {
      request.body = {};
    }
  });
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
