import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBlocks } from '../../../collector/embedded/block-framing.ts';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { must } from './ask.ts';

/** What was recorded on one connection, in its order. */
interface Message {
  readonly first: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const FIXTURES = join(import.meta.dirname, '../../fixtures/clickhouse-http');

function readRecording(name: string): Message[] {
  let left: Buffer = readFileSync(join(FIXTURES, name));
  const messages: Message[] = [];
  while (left.byteLength > 0) {
    const end = left.indexOf('\r\n\r\n');
    const [first = '', ...lines] = left.subarray(0, end).toString('latin1').split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0);
    messages.push({ first, headers, body: left.subarray(end + 4, bodyEnd) });
    left = left.subarray(bodyEnd);
  }
  return messages;
}

let clickhouse: TestClickHouse;
const oneConnection = new Agent({ connections: 1 });

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  await must(clickhouse, 'CREATE DATABASE otel');
});

afterAll(async () => {
  await oneConnection.close();
  await clickhouse.stop();
});

/** Sends a recorded request as it was, but for the address and the password. */
async function replay(message: Message) {
  const [method = '', target = ''] = message.first.split(' ');
  const { username, password } = clickhouse.reader;
  const {
    host: _host,
    'content-length': _length,
    connection: _connection,
    ...headers
  } = message.headers;
  const reply = await request(`${clickhouse.url}${target}`, {
    method: method as 'POST',
    headers: {
      ...headers,
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    },
    body: message.body,
    dispatcher: oneConnection,
  });
  const bytes = Buffer.from(await reply.body.arrayBuffer());
  const body = reply.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
  return { status: reply.statusCode, headers: reply.headers, body };
}

async function unpacked(body: Buffer): Promise<string> {
  const pieces: Uint8Array[] = [];
  async function* whole() {
    yield body;
  }
  for await (const piece of readBlocks(whole())) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

/** Statements whose results do not depend on time, server or version. */
const STEADY = /^(?:SELECT 1$|SELECT 41|DESCRIBE|SELECT map)/;

describe.each([
  ['the JDBC driver', 'jdbc-0.11.0', true],
  ['Grafana’s ClickHouse data source', 'grafana-4.14.1', false],
])('%s', (_name, recording, isInBlocks) => {
  const requests = readRecording(`${recording}.request.raw`);
  const responses = readRecording(`${recording}.response.raw`);

  it('gets to every request the kind of answer that it got when it was recorded', async () => {
    expect(requests.length).toBeGreaterThan(5);
    expect(responses).toHaveLength(requests.length);
    for (const [at, message] of requests.entries()) {
      const recorded = responses[at];
      const sql = message.body.toString();
      const answer = await replay(message);
      const succeeded = recorded?.first.includes(' 200 ');
      expect([sql, answer.status < 400]).toEqual([sql, succeeded]);
      expect(answer.headers['x-clickhouse-exception-code']).toBe(
        recorded?.headers['x-clickhouse-exception-code'],
      );
      if (!succeeded) continue;
      expect([sql, answer.headers['x-clickhouse-format']]).toEqual([
        sql,
        recorded?.headers['x-clickhouse-format'],
      ]);
      if (!STEADY.test(sql)) continue;
      const plain = isInBlocks ? unpacked : async (body: Buffer) => body.toString('latin1');
      expect(await plain(answer.body)).toBe(await plain(recorded?.body ?? Buffer.alloc(0)));
    }
  });
});
