import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClickHouseClient, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { waitFor } from '../../support/wait-for.ts';

let clickhouse: TestClickHouse;
let writer: ClickHouseClient;
let reader: ClickHouseClient;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  const open = (user: TestClickHouse['reader'] | TestClickHouse['writer'], database?: string) =>
    createClient({
      url: clickhouse.url,
      ...user,
      ...(database === undefined ? {} : { database }),
      compression: { request: true, response: true },
      log: { LoggerClass: Silent },
    });
  writer = open(clickhouse.writer);
  reader = open(clickhouse.reader, 'otel');
  await writer.command({ query: 'CREATE DATABASE otel' });
  await writer.command({
    query:
      'CREATE TABLE otel.t (id UInt64, name String, time DateTime64(9)) ENGINE = MergeTree ORDER BY id',
  });
});

class Silent {
  trace() {}
  debug() {}
  info() {}
  warn() {}
  error() {}
}

afterAll(async () => {
  await reader.close();
  await writer.close();
  await clickhouse.stop();
});

describe('@clickhouse/client', () => {
  it('pings, with and without a query', async () => {
    expect(await reader.ping()).toEqual({ success: true });
    expect(await reader.ping({ select: true })).toEqual({ success: true });
  });

  it('inserts objects and streams, and is told how many rows were written', async () => {
    const values = Array.from({ length: 1_000 }, (_, id) => ({
      id,
      name: `n${id}`,
      time: '2026-01-02 03:04:05.678901234',
    }));
    const first = await writer.insert({ table: 'otel.t', values, format: 'JSONEachRow' });
    expect(first.summary?.written_rows).toBe('1000');
    const stream = Readable.from(
      Array.from({ length: 5_000 }, (_, id) => [id + 1_000, 'streamed', '2026-01-01']),
    );
    await writer.insert({
      table: 'otel.t',
      values: stream,
      format: 'JSONCompactEachRow',
      columns: ['id', 'name', 'time'],
    });
    const answer = await reader.query({
      query: 'SELECT count() AS n, min(time) AS first FROM t',
      format: 'JSONEachRow',
    });
    expect(await answer.json()).toEqual([{ n: 6000, first: '2026-01-01 00:00:00.000000000' }]);
  });

  it('gives typed parameters of every kind', async () => {
    const answer = await reader.query({
      query:
        'SELECT {n:UInt64} AS n, {s:String} AS s, {l:Array(String)} AS l, {m:Map(String, String)} AS m, {t:DateTime64(3)} AS t, {x:Nullable(String)} AS x',
      query_params: {
        n: 7,
        s: "it's\t\\ odd\n",
        l: ["a'b", 'c'],
        m: { k: "v'" },
        t: new Date('2026-01-02T03:04:05.678Z'),
        x: null,
      },
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    });
    expect(await answer.json()).toEqual([
      {
        n: 7,
        s: "it's\t\\ odd\n",
        l: ["a'b", 'c'],
        m: { k: "v'" },
        t: '2026-01-02 03:04:05.678',
        x: null,
      },
    ]);
  });

  it('streams a large result row by row', async () => {
    const answer = await reader.query({
      query: 'SELECT number FROM numbers(500000)',
      format: 'JSONEachRow',
    });
    let rows = 0;
    for await (const part of answer.stream()) rows += part.length;
    expect(rows).toBe(500_000);
  });

  it('gets exceptions with code and name, before and after the first rows', async () => {
    await expect(reader.query({ query: 'SELECT nope', format: 'JSON' })).rejects.toMatchObject({
      code: '47',
      type: 'UNKNOWN_IDENTIFIER',
    });
    await expect(reader.command({ query: 'DROP TABLE otel.t' })).rejects.toMatchObject({
      code: '497',
      type: 'ACCESS_DENIED',
    });
    const late = await reader.query({
      query: 'SELECT throwIf(number = 2000000) AS x FROM numbers(3000000)',
      format: 'JSONEachRow',
    });
    const read = async () => {
      for await (const part of late.stream()) void part.length;
    };
    await expect(read()).rejects.toThrow();
  });

  it('cancels a query by its signal', async () => {
    const controller = new AbortController();
    const running = async () => {
      const answer = await writer.query({
        query:
          "SELECT count() AS n FROM system.processes WHERE query LIKE '%100000000000%' AND query NOT LIKE '%processes%'",
        format: 'JSONEachRow',
      });
      return Number((await answer.json<{ n: string }>())[0]?.n);
    };
    const slow = reader.query({
      query: 'SELECT count() FROM numbers(100000000000) WHERE number % 7 = cityHash64(number) % 11',
      abort_signal: controller.signal,
    });
    slow.catch(() => undefined);
    await waitFor(async () => (await running()) === 1);
    controller.abort();
    await expect(slow).rejects.toThrow();
    await waitFor(async () => (await running()) === 0);
  });

  it('uses one connection for many requests', async () => {
    for (let at = 0; at < 20; at += 1) {
      const answer = await reader.query({ query: `SELECT ${at} AS n`, format: 'JSONEachRow' });
      expect(await answer.json()).toEqual([{ n: at }]);
      if (at === 10) await delay(10);
    }
  });
});
