/**
 * The server as the command line sees it: its HTTP API. Address and token come from the options, else from the
 * environment, else from the instance that runs on the data directory.
 */
import type { ErrorCode, Problem } from '../../domain/errors.ts';
import type { Config } from '../config.ts';
import { loadConnection } from '../supervise/data-dir.ts';
import { UsageError } from './exit.ts';

/** A failure to tell the user in one or two lines, without a stack. */
class CommandError extends Error {
  override readonly name = 'CommandError';
  /** What the server said it is; null where it said nothing. */
  readonly code: ErrorCode | null;

  constructor(message: string, code: ErrorCode | null = null) {
    super(message);
    this.code = code;
  }
}

/** Whether it is what the server answered with this code. */
export function isProblem(error: unknown, code: ErrorCode): boolean {
  return error instanceof CommandError && error.code === code;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface ApiClient {
  get<T>(path: string, query?: Query): Promise<T>;
  /** @param timeoutMs where the server may work for longer than usual */
  post<T>(path: string, body?: unknown, timeoutMs?: number): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  /** Content as it comes; the answer has its headers. */
  download(path: string): Promise<Response>;
  delete<T>(path: string): Promise<T>;
}

/** A page of a list. */
export interface List<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

const TIMEOUT_MS = 60_000;

/**
 * Finds the server.
 * @param environment of a branch, of which all calls speak; production unless told
 * @throws CommandError when there is none to be found
 */
export async function connectApi(
  config: Pick<Config, 'url' | 'token' | 'dataDir'>,
  environment?: string,
): Promise<ApiClient> {
  const local = await loadConnection(config.dataDir);
  const url = config.url ?? local?.url;
  // The token of the local instance is for it alone: it is never sent to another address.
  const token = config.token ?? (url === local?.url ? local?.token : undefined);
  if (!url) {
    throw new CommandError(
      `No running instance in ${config.dataDir}. Start one with \`signalbox up\`, or name a server with --url and --token.`,
    );
  }
  if (!token) {
    throw new CommandError(`No token for ${url}: give --token or set SIGNALBOX_TOKEN.`);
  }
  return createClient(url.replace(/\/+$/, ''), token, environment);
}

function createClient(url: string, token: string, environment: string | undefined): ApiClient {
  async function ask(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Response> {
    try {
      return await fetch(`${url}/api/v1${inEnvironment(path, environment)}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      });
    } catch (error) {
      throw new CommandError(`${url} does not answer: ${reasonOf(error)}`);
    }
  }
  async function send<T>(
    method: string,
    path: string,
    body?: unknown,
    timeoutMs = TIMEOUT_MS,
  ): Promise<T> {
    const response = await ask(method, path, body, AbortSignal.timeout(timeoutMs));
    const text = await response.text();
    if (!response.ok) throw failureOf(response.status, text);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
  return {
    get: (path, query = {}) => send('GET', `${path}${queryText(query)}`),
    post: (path, body = {}, timeoutMs) => send('POST', path, body, timeoutMs),
    put: (path, body) => send('PUT', path, body),
    async download(path) {
      // Its beginning has a time, the content has as long as it takes.
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(new Error('it took too long')), TIMEOUT_MS);
      try {
        const response = await ask('GET', path, undefined, late.signal);
        if (!response.ok) throw failureOf(response.status, await response.text());
        return response;
      } finally {
        clearTimeout(timer);
      }
    },
    delete: (path) => send('DELETE', path),
  };
}

function inEnvironment(path: string, environment: string | undefined): string {
  if (environment === undefined) return path;
  return `${path}${path.includes('?') ? '&' : '?'}environment=${encodeURIComponent(environment)}`;
}

function queryText(query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) given.set(name, String(value));
  }
  return given.size === 0 ? '' : `?${given}`;
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { message?: string }; message: string };
  return cause?.message ?? message;
}

/** Values that no server would take are wrong usage: options are told to the server as they came. */
const WRONG_USAGE: ReadonlySet<string> = new Set([
  'invalid-request',
  'invalid-time',
  'invalid-cursor',
]);

function failureOf(status: number, text: string): Error {
  let problem: Problem;
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    return new CommandError(`The server answered ${status}: ${text.slice(0, 200)}`);
  }
  const message = explain(problem);
  return WRONG_USAGE.has(problem.code)
    ? new UsageError(message)
    : new CommandError(message, problem.code);
}

/** A problem as lines: what happened, each faulty field, what to do. */
function explain(problem: Problem): string {
  const head = [problem.title, problem.detail].filter(Boolean).join(': ');
  const faults = (problem.errors ?? []).map(({ path, message }) => `  ${path || '/'} ${message}`);
  return [`${head} (${problem.code})`, ...faults, ...adviceIn(problem)].join('\n');
}

/** Advice of the API speaks of its fields, which here are the first line and those below it. */
function adviceIn({ advice, detail, errors = [] }: Problem): readonly string[] {
  const speaksOfNothing =
    (advice.includes(DETAIL) && !detail) || (advice.includes(ERRORS) && errors.length === 0);
  if (speaksOfNothing) return [];
  return [
    advice
      .replace(/^`detail`/, 'The first line')
      .replace(DETAIL, 'the first line')
      .replace(/`errors` names/, 'the lines above name'),
  ];
}

const DETAIL = '`detail`';
const ERRORS = '`errors`';
