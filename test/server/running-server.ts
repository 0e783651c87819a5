/** A whole server in the test's process: real PostgreSQL, real ClickHouse, real HTTP. */

import type { Role } from '../../server/auth/roles.ts';
import { readConfig } from '../../server/config.ts';
import { type RunningServer, startServer } from '../../server/main.ts';
import { startTestClickHouse } from '../support/clickhouse.ts';
import { startTestPostgres } from '../support/postgres.ts';
import { makeTempDir } from '../support/temp-dir.ts';

export interface TestServer extends AsyncDisposable {
  readonly server: RunningServer;
  readonly url: string;
  readonly databaseUrl: string;
  readonly dataDir: string;
  /** A new token of that role. */
  token(role: Role): Promise<string>;
  /** Calls the API; JSON in and out. */
  call(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<{ status: number; headers: Headers; body: unknown }>;
}

export async function startTestServer(env: Record<string, string> = {}): Promise<TestServer> {
  const database = await startTestPostgres();
  const clickhouse = await startTestClickHouse();
  const directory = await makeTempDir('server');
  const { writer, reader } = clickhouse;
  const server = await startServer(
    readConfig({
      SIGNALBOX_DATA_DIR: directory.path,
      SIGNALBOX_PORT: '0',
      SIGNALBOX_OTLP_PORT: '0',
      SIGNALBOX_LOG_LEVEL: 'silent',
      DATABASE_URL: database.url,
      CLICKHOUSE_URL: clickhouse.url.replace('//', `//${writer.username}:${writer.password}@`),
      SIGNALBOX_CLICKHOUSE_READER: `${reader.username}:${reader.password}`,
      ...env,
    }),
  );
  const { url, parts } = server;
  return {
    ...{ server, url, databaseUrl: database.url, dataDir: directory.path },
    async token(role) {
      const name = `${role}-${crypto.randomUUID()}`;
      return (await parts.credentials.createToken(name, role, 'test')).token;
    },
    async call(method, path, { token, body, headers = {} } = {}) {
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        headers: response.headers,
        body: isJson ? JSON.parse(text) : text,
      };
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await clickhouse.stop();
      await database.stop();
      await directory.remove();
    },
  };
}
