/** Calls over HTTP: few connections that are kept, JSON both ways, one attempt a call. */
import { ERRORS, type ErrorCode, SignalboxError } from '../../domain/errors.ts';
import { httpClient } from './http-client.ts';
import { ConnectionLost } from './transport.ts';

const CONNECT_LIMIT_MS = 5_000;
const KEEP_ALIVE_MS = 30_000;
const CONNECTIONS = 64;
const MS_A_SECOND = 1_000;
const MAX_DETAIL = 500;

export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  /** Longest silence of the server. */
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfterMs: number;
}

/** Calls to one server with one token. */
export class HttpCalls {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #client = httpClient({
    connections: CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: CONNECT_LIMIT_MS },
  });

  constructor(base: string, token: string) {
    this.#base = base;
    this.#headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json',
    };
  }

  /**
   * @returns the answer's JSON, undefined where it has none
   * @throws ConnectionLost where another attempt may work; SignalboxError where the server refuses
   */
  async call<T>(one: Call): Promise<T> {
    one.signal?.throwIfAborted();
    try {
      const answer = await this.#send(one);
      return read<T>(one, answer);
    } catch (error) {
      one.signal?.throwIfAborted();
      if (error instanceof ConnectionLost || error instanceof SignalboxError) throw error;
      const detail = error instanceof Error ? error.message : String(error);
      throw new ConnectionLost(`${one.method} ${one.path}: ${detail}`, error);
    }
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }

  async #send({ method, path, body, limitMs, signal }: Call): Promise<Answer> {
    const response = await this.#client.request(`${this.#base}${path}`, {
      method,
      headers: this.#headers,
      headersTimeout: limitMs,
      bodyTimeout: limitMs,
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    const retryAfter = Number(response.headers['retry-after'] ?? 0);
    return {
      status: response.statusCode,
      text: await response.body.text(),
      retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * MS_A_SECOND : 0,
    };
  }
}

function read<T>(one: Call, { status, text, retryAfterMs }: Answer): T {
  return answerOf<T>(`${one.method} ${one.path}`, status, text, retryAfterMs);
}

/**
 * What an answer says.
 * @throws ConnectionLost where another attempt may work; SignalboxError where the server refuses
 */
export function answerOf<T>(place: string, status: number, text: string, retryAfterMs = 0): T {
  if (status >= 200 && status < 300) {
    // Nobody reads the answer of a call that has none.
    return (text === '' ? undefined : parse(text, place)) as T;
  }
  if (status >= 500 || status === 429 || status === 408) {
    throw new ConnectionLost(`${place}: status ${status}`, undefined, retryAfterMs);
  }
  throw refusal(status, text, place);
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConnectionLost(`${place}: the answer is not JSON`, error);
  }
}

/** What the server refused, by the code of its problem details. */
function refusal(status: number, text: string, place: string): SignalboxError {
  const problem = problemOf(text);
  const code = problem.code ?? codeOf(status);
  // Where the server says what is wrong, the call says nothing more to who reads it in the log of a run.
  return new SignalboxError(code, problem.detail ?? `${place}: status ${status}`);
}

function problemOf(text: string): { code?: ErrorCode; detail?: string } {
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem !== 'object' || problem === null) return {};
    const { code, detail, errors } = problem as Readonly<Record<string, unknown>>;
    const faults = (Array.isArray(errors) ? errors : []).map(
      ({ path, message }: { path?: unknown; message?: unknown }) => `${path} ${message}`,
    );
    const said = [...(typeof detail === 'string' ? [detail] : []), ...faults].join('; ');
    return {
      ...(typeof code === 'string' && Object.hasOwn(ERRORS, code)
        ? { code: code as ErrorCode }
        : {}),
      ...(said === '' ? {} : { detail: said.slice(0, MAX_DETAIL) }),
    };
  } catch {
    return {};
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not-found';
  if (status === 409) return 'lease-lost';
  if (status === 413) return 'body-too-large';
  return 'invalid-request';
}
