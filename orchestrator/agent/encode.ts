/** Results are JSON of limited size; what is not is refused with words that help. */
import type { Completion } from '../../domain/agent-protocol.ts';
import { oddityIn } from './not-json.ts';
import type { EndedAttempt } from './transport.ts';

/** Longest JSON text of one result, in bytes. */
const MAX_RESULT_BYTES = 1_048_576;

const MAX_BYTES_A_CHARACTER = 3;
const REFUSED = 'CompletionRefused';

/** A result that cannot be recorded. */
class ResultError extends Error {
  override readonly name = 'ResultError';
}

/**
 * The JSON text of a completion.
 * @param spills whether a large result is put elsewhere afterwards
 * @throws ResultError where its result is no JSON, or too much of it
 */
export function encodeCompletion(completion: Completion, spills = false): string {
  const json = encode(completion, completion.result);
  if (!spills && json.length * MAX_BYTES_A_CHARACTER > MAX_RESULT_BYTES) {
    checkSize(completion.result);
  }
  return json;
}

/**
 * A value of any size as it is after it was recorded and read again, and its JSON text; null for what needs none.
 * @throws ResultError where it is no JSON
 */
export function plainJson<T>(value: T): { readonly value: T; readonly json: string | null } {
  if (value === null || value === undefined || typeof value === 'boolean') {
    return { value, json: null };
  }
  const json = encode(value, value);
  return { value: JSON.parse(json) as T, json };
}

/**
 * What is told instead of a success that the server refuses: a failure that says so. Without it the task would be
 * handed out again and again.
 * @returns null where it was told already
 */
export function refusedEnd(end: EndedAttempt, refusal: unknown): EndedAttempt | null {
  const { completion, assignment } = end;
  if (completion.error?.name === REFUSED) return null;
  const message = refusal instanceof Error ? refusal.message : String(refusal);
  const { runId, taskKey, token, startedAt, finishedAt } = completion;
  const failed: Completion = {
    ...{ runId, taskKey, token, startedAt, finishedAt },
    ...{ state: 'failed', final: true },
    error: { name: REFUSED, message: `the server refused the end of the task: ${message}` },
  };
  return { assignment, completion: failed, json: JSON.stringify(failed) };
}

/**
 * A value as it is after it was recorded and read again.
 * @throws ResultError as above
 */
export function throughJson<T>(value: T): T {
  if (value === null || value === undefined) return value;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  const json = encode(value, value);
  if (json.length * MAX_BYTES_A_CHARACTER > MAX_RESULT_BYTES) checkSize(value);
  return JSON.parse(json) as T;
}

/**
 * The parameters of a run that is started from here, as they are recorded.
 * @throws ResultError where they are no JSON
 */
export function plainParameters(given: object): Readonly<Record<string, unknown>> {
  return JSON.parse(encode(given, given, 'parameters')) as Record<string, unknown>;
}

function encode(whole: unknown, value: unknown, what: Encoded = 'result'): string {
  let json: string;
  try {
    json = JSON.stringify(whole);
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    const odd = detail?.includes('BigInt') ? oddityIn(value) : null;
    throw odd === null ? new ResultError(`${NOT_JSON[what]}: ${detail}`) : oddError(odd, what);
  }
  const odd = oddityIn(value);
  if (odd !== null) throw oddError(odd, what);
  return json;
}

type Encoded = 'result' | 'parameters';

const NOT_JSON = {
  result: 'a result must be JSON',
  parameters: 'parameters must be JSON',
} satisfies Readonly<Record<Encoded, string>>;

function oddError({ path, what }: { path: string; what: string }, encoded: Encoded): ResultError {
  const place = path === '' ? 'this one' : `${encoded}${path}`;
  return new ResultError(`${NOT_JSON[encoded]}, and ${place} is ${what}`);
}

function checkSize(result: unknown): void {
  const bytes = Buffer.byteLength(JSON.stringify(result) ?? '');
  if (bytes <= MAX_RESULT_BYTES) return;
  throw new ResultError(
    `a result has at most ${MAX_RESULT_BYTES} bytes of JSON, and this one ${bytes}: store it elsewhere and give its address`,
  );
}
