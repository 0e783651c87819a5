/** The agent protocol over HTTP: few connections that are kept, JSON, one attempt a call. */
import { Agent, request as send } from 'undici';
import { ERRORS, type ErrorCode, SignalboxError } from '../../domain/errors.ts';
import { ConnectionLost, type EndedAttempt, type Transport } from './transport.ts';

export interface HttpTransportOptions {
  /** Address of the server, e.g. `http://127.0.0.1:4400`. */
  readonly url: string;
  /** Token of role `agent`. */
  readonly token: string;
  /** Longest silence of the server in a call that does not wait for work; 10 s unless told. */
  readonly answerLimitMs?: number;
}

const ANSWER_LIMIT_MS = 10_000;
const CONNECT_LIMIT_MS = 5_000;
const REGISTER_LIMIT_MS = 120_000;
const KEEP_ALIVE_MS = 30_000;
const CONNECTIONS = 64;
const MS_A_SECOND = 1_000;
const MAX_DETAIL = 500;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

/** The transport of an agent that reaches its server by URL. */
export function httpTransport(options: HttpTransportOptions): Transport {
  const base = `${options.url.replace(/\/+$/, '')}/api/v1/agent`;
  const limitMs = options.answerLimitMs ?? ANSWER_LIMIT_MS;
  const dispatcher = new Agent({
    connections: CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: CONNECT_LIMIT_MS },
  });
  const headers = {
    authorization: `Bearer ${options.token}`,
    'content-type': 'application/json',
    accept: 'application/json',
  };

  async function call<T>(one: Call): Promise<T> {
    one.signal?.throwIfAborted();
    let answer: { status: number; text: string; retryAfterMs: number };
    try {
      const response = await send(`${base}${one.path}`, {
        dispatcher,
        method: one.method,
        headers,
        headersTimeout: one.limitMs,
        bodyTimeout: one.limitMs,
        ...(one.body === undefined ? {} : { body: one.body }),
        ...(one.signal === undefined ? {} : { signal: one.signal }),
      });
      const retryAfter = Number(response.headers['retry-after'] ?? 0);
      answer = {
        status: response.statusCode,
        text: await response.body.text(),
        retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * MS_A_SECOND : 0,
      };
    } catch (error) {
      one.signal?.throwIfAborted();
      const detail = error instanceof Error ? error.message : String(error);
      throw new ConnectionLost(`${one.method} ${one.path}: ${detail}`, error);
    }
    return read<T>(one, answer);
  }

  const post = <T>(path: string, body: unknown, limit = limitMs, signal?: AbortSignal) =>
    call<T>({
      method: 'POST',
      path,
      body: JSON.stringify(body ?? {}),
      limitMs: limit,
      ...(signal === undefined ? {} : { signal }),
    });
  const get = <T>(path: string, limit = limitMs, signal?: AbortSignal) =>
    call<T>({ method: 'GET', path, limitMs: limit, ...(signal === undefined ? {} : { signal }) });
  const part = encodeURIComponent;

  return {
    register: (request) => post('/register', request, REGISTER_LIMIT_MS),
    claim: (id, request, signal) =>
      post(`/${part(id)}/claim`, request, request.waitMs + limitMs, signal),
    complete: (id, ended, take) =>
      call({
        method: 'POST',
        path: `/${part(id)}/complete`,
        body: completeBody(ended, take),
        limitMs,
      }),
    recordSteps: async (id, steps) => {
      const { outcomes } = await post<{
        outcomes: Awaited<ReturnType<Transport['recordSteps']>>;
      }>(`/${part(id)}/steps`, { steps });
      return outcomes;
    },
    heartbeat: (id, report, limit) =>
      post(`/${part(id)}/heartbeat`, report, Math.min(limit, limitMs)),
    logs: (id, request) => post(`/${part(id)}/logs`, request),
    once: (id, request) => post(`/${part(id)}/once`, request),
    result: (id, runId, taskKey) => get(`/${part(id)}/results/${part(runId)}/${part(taskKey)}`),
    steps: async (id, runId) => {
      const { steps } = await get<{ steps: Awaited<ReturnType<Transport['steps']>> }>(
        `/${part(id)}/steps/${part(runId)}`,
      );
      return steps;
    },
    startSubflow: (id, request) => post(`/${part(id)}/runs`, request),
    waitRun: (id, runId, waitMs, signal) =>
      get(`/${part(id)}/runs/${part(runId)}?waitMs=${waitMs}`, waitMs + limitMs, signal),
    assetValue: async (id, assetKey) => {
      const { value } = await get<{ value: Awaited<ReturnType<Transport['assetValue']>> }>(
        `/${part(id)}/assets/${part(assetKey)}`,
      );
      return value;
    },
    stop: (id) => post(`/${part(id)}/stop`, {}),
    close: () => dispatcher.destroy(),
  };
}

/** Completions are encoded already. */
function completeBody(ended: readonly EndedAttempt[], take: number): string {
  let list = '';
  for (const { json } of ended) list += list === '' ? json : `,${json}`;
  return `{"completions":[${list}],"take":${take}}`;
}

function read<T>(one: Call, answer: { status: number; text: string; retryAfterMs: number }): T {
  const { status, text } = answer;
  const place = `${one.method} ${one.path}`;
  if (status >= 200 && status < 300) {
    // Nobody reads the answer of a call that has none.
    return (text === '' ? undefined : parse(text, place)) as T;
  }
  if (status >= 500 || status === 429 || status === 408) {
    throw new ConnectionLost(`${place}: status ${status}`, undefined, answer.retryAfterMs);
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
  return new SignalboxError(code, `${place}: ${problem.detail ?? `status ${status}`}`);
}

function problemOf(text: string): { code?: ErrorCode; detail?: string } {
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem !== 'object' || problem === null) return {};
    const { code, detail } = problem as { code?: unknown; detail?: unknown };
    return {
      ...(typeof code === 'string' && Object.hasOwn(ERRORS, code)
        ? { code: code as ErrorCode }
        : {}),
      ...(typeof detail === 'string' ? { detail: detail.slice(0, MAX_DETAIL) } : {}),
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
