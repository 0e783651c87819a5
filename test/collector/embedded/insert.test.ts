import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ask, must } from './ask.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  await must(clickhouse, 'CREATE DATABASE otel');
});

afterAll(() => clickhouse.stop());

let tables = 0;

/** A table of its own for a test. */
async function makeTable(
  columns = "a UInt64, s String DEFAULT concat('d', toString(a))",
): Promise<string> {
  tables += 1;
  const name = `otel.t${tables}`;
  await must(clickhouse, `CREATE TABLE ${name} (${columns}) ENGINE = MergeTree ORDER BY tuple()`);
  return name;
}

const waitingFiles = () => readdirSync(join(clickhouse.dataDir, 'incoming'));

describe('an INSERT', () => {
  it('takes its rows from the body, after the statement or alone', async () => {
    const table = await makeTable();
    await must(clickhouse, `INSERT INTO ${table} FORMAT JSONEachRow\n{"a":1,"s":"x"}\n{"a":2}`);
    await must(clickhouse, '{"a":3,"s":"y"}\n', {
      query: { query: `INSERT INTO ${table} FORMAT JSONEachRow` },
    });
    await must(clickhouse, `INSERT INTO ${table} (a) VALUES (4), (2 + 3)`);
    await must(clickhouse, `insert into table ${table} (a, s) format TSV 6\tz\n`);
    await must(clickhouse, '7,"q"\n', { query: { query: `INSERT INTO ${table} FORMAT CSV` } });
    await must(clickhouse, `(8, 'v')`, { query: { query: `INSERT INTO ${table} VALUES` } });
    await must(
      clickhouse,
      `/* a */ INSERT INTO ${table} -- b\n SELECT number + 9, 'sel' FROM numbers(1)`,
    );
    await must(
      clickhouse,
      `INSERT INTO ${table} SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow {"a":10,"other":1}`,
    );
    await must(clickhouse, `INSERT INTO ${table} VALUES (11, 'a;b'), (12, 'FORMAT');`);
    expect(await must(clickhouse, `SELECT a, s FROM ${table} ORDER BY a`)).toBe(
      '1\tx\n2\td2\n3\ty\n4\td4\n5\td5\n6\tz\n7\tq\n8\tv\n9\tsel\n10\td10\n11\ta;b\n12\tFORMAT\n',
    );
  });

  it.each([
    'Native',
    'RowBinary',
    'RowBinaryWithNamesAndTypes',
    'Parquet',
    'ArrowStream',
    'CSVWithNames',
    'TSKV',
    'JSON',
    'MsgPack',
    'Values',
  ])('takes back what a SELECT gave in %s', async (format) => {
    const table = await makeTable(
      'a UInt64, s String, m Map(String, String), t DateTime64(9), n Nullable(Float64)',
    );
    const rows = `SELECT number AS a, concat('ü\\n\\'', toString(number)) AS s, map('k', s) AS m, toDateTime64('2026-01-02 03:04:05.678901234', 9) AS t, if(number % 2 = 0, NULL, number / 3) AS n FROM numbers(1000)`;
    const out = await ask(clickhouse, `${rows} FORMAT ${format}`);
    await must(clickhouse, out.bytes, {
      query: { query: `INSERT INTO ${table} FORMAT ${format}` },
    });
    const hash =
      'SELECT count(), groupBitXor(cityHash64(a, s, toString(m), toString(t), toString(n)))';
    expect(await must(clickhouse, `${hash} FROM ${table}`)).toBe(
      await must(clickhouse, `${hash} FROM (${rows})`),
    );
  });

  it('may be empty', async () => {
    const table = await makeTable();
    await must(clickhouse, '', { query: { query: `INSERT INTO ${table} FORMAT JSONEachRow` } });
    await must(clickhouse, `INSERT INTO ${table} FORMAT TSV`);
    expect(await must(clickhouse, `SELECT count() FROM ${table}`)).toBe('0\n');
  });

  it('takes rows as they come, in many pieces', async () => {
    const table = await makeTable();
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let a = 0; a < 20_000; a += 1) yield Buffer.from(`{"a":${a}}\n`);
    }
    await ask(clickhouse, pieces(), {
      query: { query: `INSERT INTO ${table} FORMAT JSONEachRow` },
    });
    expect(await must(clickhouse, `SELECT count(), max(a) FROM ${table}`)).toBe('20000\t19999\n');
  });

  it('tells what is wrong with a row and keeps none of the block', async () => {
    const table = await makeTable();
    const answer = await ask(
      clickhouse,
      `INSERT INTO ${table} FORMAT JSONEachRow {"a":1}\n{"a":"x"}`,
    );
    expect(answer.status).toBe(400);
    expect(answer.headers['x-clickhouse-exception-code']).toMatch(/^(?:6|27|72)$/);
    expect(answer.text).not.toContain(clickhouse.dataDir);
    const unknown = await ask(clickhouse, `INSERT INTO ${table} FORMAT JSONEachRow {"b":1}`, {
      query: { input_format_skip_unknown_fields: 0 },
    });
    expect(unknown.headers['x-clickhouse-exception-code']).toBe('117');
    const missing = await ask(clickhouse, 'INSERT INTO otel.missing FORMAT TSV 1');
    expect([missing.status, missing.headers['x-clickhouse-exception-code']]).toEqual([404, '60']);
    expect(await must(clickhouse, `SELECT count() FROM ${table}`)).toBe('0\n');
    expect(waitingFiles()).toEqual([]);
  });

  it('without FORMAT, VALUES and SELECT, or from a file, is refused', async () => {
    const table = await makeTable();
    for (const sql of [
      `INSERT INTO ${table}`,
      `INSERT INTO ${table} FROM INFILE '/etc/passwd' FORMAT TSV`,
      `INSERT INTO ${table} FORMAT Nope 1`,
    ]) {
      expect((await ask(clickhouse, sql)).status).toBeGreaterThanOrEqual(400);
    }
    expect(await must(clickhouse, `SELECT count() FROM ${table}`)).toBe('0\n');
  });

  it('whose client goes away in the middle leaves no row and no file', async () => {
    const table = await makeTable();
    const { username, password } = clickhouse.writer;
    const socket = connect(clickhouse.port, clickhouse.host);
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    const query = new URLSearchParams({ query: `INSERT INTO ${table} FORMAT JSONEachRow` });
    socket.write(
      `POST /?${query} HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: ${username}\r\nX-ClickHouse-Key: ${password}\r\nContent-Length: 1000\r\n\r\n{"a":1}\n`,
    );
    await waitFor(() => waitingFiles().length === 1, { what: 'the rows to arrive' });
    socket.destroy();
    await waitFor(() => waitingFiles().length === 0, { what: 'the file to be removed' });
    expect(await must(clickhouse, `SELECT count() FROM ${table}`)).toBe('0\n');
  });

  it('with the same deduplication token is taken once', async () => {
    await must(
      clickhouse,
      'CREATE TABLE otel.once (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100',
    );
    const query = {
      query: 'INSERT INTO otel.once FORMAT JSONEachRow',
      insert_deduplication_token: 'batch-1',
    };
    await must(clickhouse, '{"a":1}\n{"a":2}', { query });
    await must(clickhouse, '{"a":1}\n{"a":2}', { query });
    await must(clickhouse, '{"a":3}', {
      query: { ...query, insert_deduplication_token: 'batch-2' },
    });
    const asSetting = 'INSERT INTO otel.once SETTINGS max_threads = 1 FORMAT JSONEachRow';
    await must(clickhouse, '{"a":4}', {
      query: { query: asSetting, insert_deduplication_token: 'batch-2' },
    });
    await must(clickhouse, '{"a":4}', {
      query: { query: asSetting, insert_deduplication_token: "it's new" },
    });
    expect(await must(clickhouse, 'SELECT count() FROM otel.once')).toBe('4\n');
  });

  it('of many clients at a time loses nothing', async () => {
    const table = await makeTable();
    const inserts = Array.from({ length: 40 }, (_, at) => {
      const rows = Array.from({ length: 500 }, (_, row) => `${at * 500 + row}\tx`).join('\n');
      return must(clickhouse, rows, { query: { query: `INSERT INTO ${table} FORMAT TSV` } });
    });
    await Promise.all(inserts);
    expect(await must(clickhouse, `SELECT count(), uniqExact(a) FROM ${table}`)).toBe(
      '20000\t20000\n',
    );
    expect(waitingFiles()).toEqual([]);
  });

  it('goes into a table with an odd name and odd columns', async () => {
    await must(
      clickhouse,
      'CREATE TABLE otel.`values` (`format` UInt8, `select` String) ENGINE = Memory',
    );
    await must(clickhouse, "INSERT INTO otel.`values` (`format`, `select`) VALUES (1, 'a')");
    await must(clickhouse, 'INSERT INTO otel.values FORMAT JSONEachRow {"format":2,"select":"b"}');
    await must(clickhouse, 'INSERT INTO otel.values (* EXCEPT(select)) VALUES (3)');
    expect(await must(clickhouse, 'SELECT * FROM otel.`values` ORDER BY format')).toBe(
      '1\ta\n2\tb\n3\t\n',
    );
  });
});
