/** A request of ClickHouse's HTTP protocol, read from URL and headers. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { exception } from './exceptions.ts';

/** What the URL and the headers say. */
export interface ProtocolRequest {
  /** `query` of the URL. */
  readonly query: string | undefined;
  /** The client's, or a new one. */
  readonly queryId: string;
  readonly database: string | undefined;
  readonly defaultFormat: string | undefined;
  /** Values of `param_x`, in ClickHouse's escaped form. */
  readonly parameters: Map<string, string>;
  readonly settings: Map<string, string>;
  readonly session:
    | { id: string; timeoutSeconds: number; mustExist: boolean; closes: boolean }
    | undefined;
  /** Reply in ClickHouse's own compressed blocks. */
  readonly blockReply: 'none' | 'lz4' | 'zstd';
  /** The body is in such blocks. */
  readonly blockBody: boolean;
  /** The reply begins only when the query has ended. */
  readonly waitEndOfQuery: boolean;
  readonly httpCompression: boolean;
  /** Nothing may change: a GET, or the setting `readonly`. */
  readonly readOnly: boolean;
}

/** URL parameters that are not settings. */
const OWN = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'user',
  'password',
  'quota_key',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'compress',
  'decompress',
  'wait_end_of_query',
  'buffer_size',
]);

const MAX_SESSION_TIMEOUT_S = 3_600;

/**
 * Reads URL and headers.
 * @throws ClickHouseException for values that make no sense
 */
export function readProtocolRequest(request: IncomingMessage, url: URL): ProtocolRequest {
  const get = (name: string) => url.searchParams.get(name) ?? undefined;
  const header = (name: string) => {
    const value = request.headers[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const parameters = new Map<string, string>();
  const settings = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (name.startsWith('param_')) parameters.set(name.slice('param_'.length), value);
    else if (!OWN.has(name)) settings.set(name, value);
  }
  const zstd = get('network_compression_method')?.toUpperCase() === 'ZSTD';
  return {
    query: get('query'),
    queryId: readQueryId(get('query_id') ?? header('x-clickhouse-query-id')),
    database: get('database') ?? header('x-clickhouse-database'),
    defaultFormat: header('x-clickhouse-format') ?? get('default_format'),
    parameters,
    settings,
    session: readSession(get),
    blockReply: isOn(get('compress')) ? (zstd ? 'zstd' : 'lz4') : 'none',
    blockBody: isOn(get('decompress')),
    waitEndOfQuery: isOn(get('wait_end_of_query')),
    readOnly: request.method === 'GET' || request.method === 'HEAD' || isOn(get('readonly')),
    httpCompression: !['0', 'false'].includes(get('enable_http_compression') ?? '1'),
  };
}

/** It goes into a header of the reply, so it has to be of plain signs. */
function readQueryId(id: string | undefined): string {
  if (id === undefined || id === '') return randomUUID();
  if (/^[\x20-\x7e]{1,256}$/.test(id)) return id;
  throw exception('BAD_ARGUMENTS', 'The query id must have 1 to 256 plain signs.');
}

function readSession(get: (name: string) => string | undefined): ProtocolRequest['session'] {
  const id = get('session_id');
  if (id === undefined || id === '') return undefined;
  const timeoutSeconds = Number(get('session_timeout') ?? 60);
  if (!(timeoutSeconds >= 0 && timeoutSeconds <= MAX_SESSION_TIMEOUT_S)) {
    throw exception(
      'INVALID_SESSION_TIMEOUT',
      `Invalid session timeout: ${get('session_timeout')}; it must be from 0 to ${MAX_SESSION_TIMEOUT_S} seconds.`,
    );
  }
  const mustExist = isOn(get('session_check'));
  return { id, timeoutSeconds, mustExist, closes: isOn(get('close_session')) };
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}
