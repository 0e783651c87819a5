/**
 * Answers without stored names: each becomes the plain name, and the object that it names says which environment it is
 * of. What users gave (parameters, results, metadata) is left as it is. An answer without a stored name, as all of
 * production's are, costs no more than looking for one.
 */
import {
  environmentOf,
  PRODUCTION,
  plainName,
  plainWords,
  prefixOf,
} from '../../domain/environment.ts';

/** How a stored name begins in JSON. */
const BEGIN = '"~';
/** What users gave, which may be anything. */
const GIVEN: ReadonlySet<string> = new Set([
  ...['parameters', 'result', 'value', 'metadata', 'body', 'attributes', 'labels', 'schema'],
]);
/** Fields whose name is that of the object, or says where it is. */
const OWN: ReadonlySet<string> = new Set([
  ...['workflow', 'name', 'key', 'assetKey', 'asset', 'sensor', 'queue', 'pool', 'id'],
]);

/** @param environment that the request named; null for none */
export function plainAnswer(payload: string, environment: string | null): string {
  const prefix = environment === null ? null : prefixOf(environment);
  if (!payload.includes(BEGIN) && (prefix === null || !payload.includes(prefix))) return payload;
  let answer: unknown;
  try {
    answer = JSON.parse(payload);
  } catch {
    // No JSON: content of an artifact.
    return payload;
  }
  return JSON.stringify(plain(answer, environment));
}

function plain(value: unknown, around: string | null): unknown {
  if (Array.isArray(value)) return value.map((one) => plain(one, around));
  if (typeof value === 'string') return plainText(value, around);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const own = ownEnvironment(entries);
  const environment = own ?? around;
  const told = entries.map(([key, one]) => [plainName(key), plainField(key, one, environment)]);
  const result = Object.fromEntries(told) as Record<string, unknown>;
  return own === null ? result : { ...result, environment: own };
}

function ownEnvironment(entries: readonly (readonly [string, unknown])[]): string | null {
  for (const [key, value] of entries) {
    if (typeof value !== 'string') continue;
    if (key === 'environment' && value !== PRODUCTION) return value;
    if (!OWN.has(key)) continue;
    const environment = environmentOf(value);
    if (environment !== null) return environment;
  }
  return null;
}

/** A name, or a sentence in which names stand among other words. */
function plainText(text: string, environment: string | null): string {
  return environment === null ? plainName(text) : plainWords(text, environment);
}

function plainField(key: string, value: unknown, environment: string | null): unknown {
  if (GIVEN.has(key) && typeof value === 'object') return value;
  if (key === 'inputs' && environment !== null && Array.isArray(value)) {
    return value.map((input) => inputOf(input, environment));
  }
  return plain(value, environment);
}

/** What a version was made from: that which is not of its environment was read from production. */
function inputOf(input: unknown, environment: string): unknown {
  const told = plain(input, environment);
  const { assetKey } = (typeof input === 'object' && input !== null ? input : {}) as {
    readonly assetKey?: unknown;
  };
  if (typeof assetKey !== 'string' || environmentOf(assetKey) !== null) return told;
  return { ...(told as object), environment: PRODUCTION };
}
