import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AskOptions, ask, must } from './ask.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  await must(clickhouse, 'CREATE DATABASE otel');
});

afterAll(() => clickhouse.stop());

const code = 'x-clickhouse-exception-code';

/** Begins a request and gives its reply as it comes; nothing of the body is read. */
async function begin(sql: string, query: Record<string, string> = {}): Promise<IncomingMessage> {
  const { username, password } = clickhouse.reader;
  const request = httpRequest(`${clickhouse.url}/?${new URLSearchParams(query)}`, {
    method: 'POST',
    headers: { 'x-clickhouse-user': username, 'x-clickhouse-key': password },
    agent: false,
  });
  request.on('error', () => undefined);
  request.end(sql);
  const [reply] = (await once(request, 'response')) as [IncomingMessage];
  return reply;
}

/** Queries that run now, whoever sent them, without this one. */
async function running(): Promise<string[]> {
  const text = await must(
    clickhouse,
    "SELECT query FROM system.processes WHERE query NOT LIKE '%system.processes%' FORMAT JSONEachRow",
  );
  return text.split('\n').filter((line) => line !== '');
}

const LONG = 'SELECT count() FROM numbers(100000000000) WHERE number % 7 = cityHash64(number) % 11';

describe('a large result', () => {
  it('begins before it has ended and is told to its end', async () => {
    const started = performance.now();
    const reply = await begin('SELECT number, toString(number) FROM numbers(3000000) FORMAT TSV');
    const firstAt = performance.now() - started;
    let size = 0;
    for await (const piece of reply) size += (piece as Buffer).byteLength;
    expect(size).toBe(45_777_780);
    expect(firstAt).toBeLessThan(performance.now() - started);
    expect(reply.headers['content-length']).toBeUndefined();
  });

  it('waits for a client that does not read, and holds no memory for it', async () => {
    const reply = await begin(
      'SELECT number, randomPrintableASCII(100) FROM numbers(1000000000) FORMAT TSV',
      {
        max_result_bytes: '0',
      },
    );
    await waitFor(async () => (await running()).length === 1);
    const memory = async () =>
      Number(await must(clickhouse, 'SELECT sum(memory_usage) FROM system.processes'));
    const before = await memory();
    await delay(300);
    expect((await memory()) - before).toBeLessThan(64 * 1_048_576);
    expect(await running()).toHaveLength(1);
    reply.destroy();
    await waitFor(async () => (await running()).length === 0, { what: 'the query to end' });
  });

  it('that fails on its way ends with ClickHouse’s marker and breaks off', async () => {
    const reply = await begin('SELECT throwIf(number = 2000000) FROM numbers(3000000) FORMAT TSV');
    expect(reply.statusCode).toBe(200);
    const tag = String(reply.headers['x-clickhouse-exception-tag']);
    let text = '';
    const read = (async () => {
      for await (const piece of reply) text += String(piece);
    })();
    await expect(read).rejects.toThrow();
    expect(text).toContain(`\r\n__exception__\r\n${tag}\r\nCode: 395. DB::Exception: `);
    expect(text.endsWith(`${tag}\r\n__exception__\r\n`)).toBe(true);
  });

  it('that fails on its way has its own status where wait_end_of_query is given', async () => {
    const answer = await ask(
      clickhouse,
      'SELECT throwIf(number = 2000000) FROM numbers(3000000) FORMAT TSV',
      {
        query: { wait_end_of_query: 1 },
      },
    );
    expect([answer.status, answer.headers[code]]).toEqual([500, '395']);
    const good = await ask(clickhouse, 'SELECT number FROM numbers(1000000)', {
      query: { wait_end_of_query: 1 },
    });
    expect(JSON.parse(good.headers['x-clickhouse-summary'] ?? '')).toMatchObject({
      read_rows: '1000000',
    });
    expect(good.headers['content-length']).toBe(String(good.bytes.byteLength));
  });
});

describe('a query', () => {
  it('ends when its client goes away', async () => {
    const controller = new AbortController();
    const { username, password } = clickhouse.reader;
    const request = fetch(clickhouse.url, {
      method: 'POST',
      body: LONG,
      headers: { 'x-clickhouse-user': username, 'x-clickhouse-key': password },
      signal: controller.signal,
    });
    request.catch(() => undefined);
    await waitFor(async () => (await running()).length === 1);
    controller.abort();
    await waitFor(async () => (await running()).length === 0, { what: 'the query to end' });
  });

  it('of a client that goes away at once ends as well', async () => {
    const { username, password } = clickhouse.reader;
    for (let at = 0; at < 10; at += 1) {
      const request = httpRequest(clickhouse.url, {
        method: 'POST',
        headers: { 'x-clickhouse-user': username, 'x-clickhouse-key': password },
        agent: false,
      });
      request.on('error', () => undefined);
      request.end(LONG);
      await delay(at);
      request.destroy();
    }
    await waitFor(async () => (await running()).length === 0, { what: 'the queries to end' });
    expect(await must(clickhouse, 'SELECT 1')).toBe('1\n');
  });

  it('is ended by KILL QUERY with the id that its client gave', async () => {
    const slow = ask(clickhouse, LONG, { as: 'reader', query: { query_id: 'to-be-killed' } });
    await waitFor(async () => (await running()).length === 1);
    const refused = await ask(clickhouse, "KILL QUERY WHERE query_id = 'to-be-killed'", {
      as: 'reader',
    });
    expect(refused.status).toBe(403);
    await must(clickhouse, "KILL QUERY WHERE query_id = 'to-be-killed' ASYNC");
    const answer = await slow;
    expect([answer.status, answer.headers[code]]).toEqual([500, '394']);
  });

  it('ends at max_execution_time', async () => {
    const answer = await ask(clickhouse, LONG, { as: 'reader', query: { max_execution_time: 1 } });
    expect([answer.status, answer.headers[code]]).toEqual([408, '159']);
  });

  it('ends at max_result_rows and at its memory limit', async () => {
    const rows = await ask(clickhouse, 'SELECT number FROM numbers(1000)', {
      as: 'reader',
      query: { max_result_rows: 10 },
    });
    expect(rows.headers[code]).toBe('396');
    const memory = await ask(clickhouse, 'SELECT groupArray(number) FROM numbers(100000000)', {
      as: 'reader',
      query: { max_memory_usage: 50_000_000 },
    });
    expect(memory.headers[code]).toBe('241');
  });

  it('that is long does not hold up short ones, even while it is analysed', async () => {
    const analysed =
      'SELECT (SELECT count() FROM numbers(100000000000) WHERE number % 7 = cityHash64(number) % 11)';
    const slow = [LONG, analysed].map((sql) =>
      ask(clickhouse, sql, { as: 'reader', query: { max_execution_time: 4 } }),
    );
    await waitFor(async () => (await running()).length >= 2);
    const times: number[] = [];
    for (let at = 0; at < 20; at += 1) {
      const started = performance.now();
      await must(clickhouse, 'SELECT 1', { as: 'reader' });
      times.push(performance.now() - started);
    }
    expect((await running()).length).toBeGreaterThanOrEqual(2);
    expect(times.sort((one, other) => one - other)[10]).toBeLessThan(250);
    for (const answer of await Promise.all(slow)) expect(answer.headers[code]).toBe('159');
  });
});

describe('too many queries', () => {
  it('are refused with 503, and writer still gets through', async () => {
    const options: AskOptions = { as: 'reader', query: { max_execution_time: 3 } };
    const slow = Array.from({ length: 45 }, () => ask(clickhouse, 'SELECT sleep(2)', options));
    const answers = await Promise.all([
      ...slow,
      delay(500).then(() => ask(clickhouse, 'SELECT 1', { as: 'writer' })),
    ]);
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.at(-1)).toBe(200);
    expect(statuses.filter((status) => status === 503)).toHaveLength(5);
    const refused = answers.find((answer) => answer.status === 503);
    expect(refused?.headers[code]).toBe('202');
    expect(refused?.headers['retry-after']).toBe('1');
    expect(await must(clickhouse, 'SELECT 1', { as: 'reader' })).toBe('1\n');
  });
});
