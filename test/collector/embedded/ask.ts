import { Readable } from 'node:stream';
import { request } from 'undici';
import type { TestClickHouse } from '../../support/clickhouse.ts';

/** An answer of the HTTP port, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  readonly text: string;
}

export interface AskOptions {
  readonly as?: 'reader' | 'writer';
  readonly method?: 'GET' | 'POST' | 'HEAD' | 'PUT' | 'DELETE';
  /** Added to the URL. */
  readonly query?: Readonly<Record<string, string | number>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
}

/** Sends one raw request; the body is the statement unless `query` carries one. */
export async function ask(
  server: TestClickHouse,
  body: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: AskOptions = {},
): Promise<Answer> {
  const user = server[options.as ?? 'writer'];
  const url = new URL(options.path ?? '/', server.url);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    url.searchParams.set(name, String(value));
  }
  const method = options.method ?? 'POST';
  const reply = await request(url, {
    method,
    headers: {
      'x-clickhouse-user': user.username,
      'x-clickhouse-key': user.password,
      ...options.headers,
    },
    body: method === 'POST' || method === 'PUT' ? sendable(body) : null,
  });
  const bytes = Buffer.from(await reply.body.arrayBuffer());
  const headers = Object.fromEntries(
    Object.entries(reply.headers).map(([name, value]) => [name, String(value)]),
  );
  return { status: reply.statusCode, headers, bytes, text: bytes.toString('utf8') };
}

function sendable(body: string | Uint8Array | AsyncIterable<Uint8Array>) {
  return typeof body === 'string' || body instanceof Uint8Array ? body : Readable.from(body);
}

/** Sends a statement that must succeed and gives its text. */
export async function must(
  server: TestClickHouse,
  body: string | Uint8Array,
  options: AskOptions = {},
): Promise<string> {
  const answer = await ask(server, body, options);
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  return answer.text;
}
