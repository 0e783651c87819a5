import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { type AskOptions, ask, must } from './ask.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  await must(clickhouse, 'CREATE DATABASE otel');
  await must(clickhouse, 'CREATE TABLE otel.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a');
  await must(clickhouse, "INSERT INTO otel.t VALUES (1, 'one'), (2, 'two')");
});

afterAll(() => clickhouse.stop());

describe('paths', () => {
  it('tells that it is alive on /, /ping and /replicas_status, without a user', async () => {
    for (const path of ['/', '/ping', '/replicas_status']) {
      const answer = await ask(clickhouse, '', {
        method: 'GET',
        path,
        headers: { 'x-clickhouse-user': 'nobody' },
      });
      expect([answer.status, answer.text]).toEqual([200, 'Ok.\n']);
    }
    const head = await ask(clickhouse, '', { method: 'HEAD', path: '/ping' });
    expect([head.status, head.text]).toEqual([200, '']);
  });

  it('knows no other path and no other method', async () => {
    expect((await ask(clickhouse, '', { method: 'GET', path: '/play' })).status).toBe(404);
    expect(
      (await ask(clickhouse, '', { method: 'DELETE', query: { query: 'SELECT 1' } })).status,
    ).toBe(501);
  });
});

describe('users', () => {
  const none = { 'x-clickhouse-user': '', 'x-clickhouse-key': '' };
  const basic = (user: string, password: string) =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

  async function status(options: AskOptions): Promise<number> {
    const url = new URL('/', clickhouse.url);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      url.searchParams.set(name, String(value));
    }
    const reply = await fetch(url, {
      method: 'POST',
      body: 'SELECT 1',
      headers: options.headers ?? {},
    });
    await reply.arrayBuffer();
    return reply.status;
  }

  it('come by headers, Basic, or URL parameters', async () => {
    const { username, password } = clickhouse.reader;
    const headers = { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': password };
    expect(await status({ headers })).toBe(200);
    expect(await status({ headers: { authorization: basic(username, password) } })).toBe(200);
    expect(await status({ query: { user: username, password } })).toBe(200);
  });

  it('are refused alike whether the name or the password is wrong', async () => {
    const texts = new Set<string>();
    for (const user of ['reader', 'nobody']) {
      const answer = await ask(clickhouse, 'SELECT 1', {
        headers: { 'x-clickhouse-user': user, 'x-clickhouse-key': 'wrong' },
      });
      expect(answer.status).toBe(403);
      expect(answer.headers['x-clickhouse-exception-code']).toBe('516');
      texts.add(answer.text.replace(user, 'X'));
    }
    expect(texts.size).toBe(1);
    expect([...texts][0]).toMatch(
      /^Code: 516\. DB::Exception: X: Authentication failed: .* \(AUTHENTICATION_FAILED\) \(version [\d.]+ \(official build\)\)\n$/,
    );
  });

  it('are refused without credentials, with the other’s password, and with a Bearer token', async () => {
    expect(await status({})).toBe(403);
    expect(await status({ headers: none })).toBe(403);
    expect(
      await status({ headers: { authorization: basic('reader', clickhouse.writer.password) } }),
    ).toBe(403);
    expect(
      await status({ headers: { authorization: `Bearer ${clickhouse.reader.password}` } }),
    ).toBe(403);
    expect(await status({ headers: { authorization: 'Basic !!' } })).toBe(403);
  });

  it('are never told a password in an error', async () => {
    const { text } = await ask(clickhouse, 'SELECT nope', {
      query: { user: 'writer', password: 'hidden-word' },
    });
    expect(text).not.toContain('hidden-word');
    expect(text).not.toContain(clickhouse.writer.password);
  });
});

describe('statements', () => {
  it('come in the body, in the URL, or begin in the URL and end in the body', async () => {
    expect(await must(clickhouse, 'SELECT 1')).toBe('1\n');
    expect(await must(clickhouse, '', { query: { query: 'SELECT 2' } })).toBe('2\n');
    expect(await must(clickhouse, '', { method: 'GET', query: { query: 'SELECT 3' } })).toBe('3\n');
    expect(await must(clickhouse, '+ 3', { query: { query: 'SELECT 1' } })).toBe('4\n');
    expect(await must(clickhouse, 'SELECT 5', { method: 'PUT' })).toBe('5\n');
  });

  it('may end in a semicolon and carry comments', async () => {
    expect(await must(clickhouse, '-- first\n/* second */ SELECT 1 -- third\n;')).toBe('1\n');
    expect(await must(clickhouse, '\n\t SELECT 1;\n\n')).toBe('1\n');
  });

  it('only read when they come by GET or with readonly', async () => {
    const refused = await ask(clickhouse, '', {
      method: 'GET',
      query: { query: "INSERT INTO otel.t VALUES (3, 'x')" },
    });
    expect(refused.headers['x-clickhouse-exception-code']).toBe('164');
    const drop = await ask(clickhouse, '', {
      method: 'GET',
      query: { query: 'DROP TABLE otel.t' },
    });
    expect(drop.headers['x-clickhouse-exception-code']).toBe('164');
    for (const sql of ['DROP TABLE otel.t', "INSERT INTO otel.t VALUES (3, 'x')"]) {
      const asked = await ask(clickhouse, sql, { query: { readonly: 1 } });
      expect(asked.headers['x-clickhouse-exception-code']).toBe('164');
    }
    expect(await must(clickhouse, 'SELECT count() FROM otel.t')).toBe('2\n');
  });

  it('of more than one, empty, or too long are refused', async () => {
    expect(
      (await ask(clickhouse, 'SELECT 1; SELECT 2')).headers['x-clickhouse-exception-code'],
    ).toBe('62');
    expect((await ask(clickhouse, '')).headers['x-clickhouse-exception-code']).toBe('62');
    const long = await ask(clickhouse, `SELECT '${'x'.repeat(5_000_000)}'`);
    expect([long.status, long.headers['x-clickhouse-exception-code']]).toEqual([413, '229']);
  });

  it('of a megabyte of literals work', async () => {
    const ids = Array.from({ length: 150_000 }, (_, id) => id).join(', ');
    const text = await must(clickhouse, `SELECT count() FROM otel.t WHERE a IN (${ids})`, {
      query: { max_ast_elements: 1_000_000, max_expanded_ast_elements: 1_000_000 },
    });
    expect(text).toBe('2\n');
  });

  it('keep what looks like a quote, a comment or another language inside texts', async () => {
    const odd = `it's "quoted" \\ back\\slash -- ; /* ünïcode 日本語 😀 \t\n`;
    const answer = await ask(clickhouse, 'SELECT {x:String} AS x', {
      query: {
        param_x: odd.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n'),
        default_format: 'JSONEachRow',
      },
    });
    expect(JSON.parse(answer.text)).toEqual({ x: odd });
    const literal = odd.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
    const direct = await must(clickhouse, `SELECT '${literal}' AS x FORMAT JSONEachRow`);
    expect(JSON.parse(direct)).toEqual({ x: odd });
  });
});

describe('headers', () => {
  it('tell query, format, time zone, server and summary', async () => {
    const { headers, status } = await ask(
      clickhouse,
      'SELECT a FROM otel.t ORDER BY a FORMAT JSONEachRow',
      {
        as: 'reader',
        query: { query_id: 'my-query' },
      },
    );
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'x-clickhouse-query-id': 'my-query',
      'x-clickhouse-format': 'JSONEachRow',
      'x-clickhouse-timezone': 'UTC',
      'x-clickhouse-server-display-name': 'signalbox',
      'content-type': 'application/x-ndjson; charset=UTF-8',
    });
    const summary = JSON.parse(headers['x-clickhouse-summary'] ?? '');
    expect(summary).toMatchObject({ read_rows: '2', written_rows: '0' });
    expect(Number(summary.elapsed_ns)).toBeGreaterThan(0);
  });

  it('give each query an id of its own where the client gives none', async () => {
    const first = await ask(clickhouse, 'SELECT 1');
    const second = await ask(clickhouse, 'SELECT 1');
    expect(first.headers['x-clickhouse-query-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(first.headers['x-clickhouse-query-id']).not.toBe(
      second.headers['x-clickhouse-query-id'],
    );
  });

  it('tell how many rows an INSERT wrote', async () => {
    await must(clickhouse, 'CREATE TABLE otel.counted (a UInt8) ENGINE = Memory');
    const { headers } = await ask(clickhouse, 'INSERT INTO otel.counted VALUES (1), (2), (3)');
    expect(JSON.parse(headers['x-clickhouse-summary'] ?? '')).toMatchObject({ written_rows: '3' });
  });

  it('never carry what a client smuggles into its query id', async () => {
    const { status, headers } = await ask(clickhouse, 'SELECT 1', {
      query: { query_id: 'x\r\nX-Injected: 1' },
    });
    expect(status).toBe(400);
    expect(headers['x-injected']).toBeUndefined();
  });
});

describe('formats', () => {
  it('follow FORMAT, then the header, then default_format, then TabSeparated', async () => {
    const sql = 'SELECT 1 AS a';
    const csv = { query: { default_format: 'CSV' } };
    const header = { ...csv, headers: { 'x-clickhouse-format': 'JSONCompactEachRow' } };
    expect((await ask(clickhouse, `${sql} FORMAT TSKV`, header)).text).toBe('a=1\n');
    expect((await ask(clickhouse, sql, header)).text).toBe('[1]\n');
    expect((await ask(clickhouse, "SELECT 'x'", csv)).text).toBe('"x"\n');
    expect((await ask(clickhouse, sql)).text).toBe('1\n');
  });

  it('of every shape are told as one document, large or small', async () => {
    const rows = 200_000;
    const sql = `SELECT number AS n, toString(number) AS s FROM numbers(${rows})`;
    const json = await ask(clickhouse, `${sql} FORMAT JSON`);
    expect(json.headers['content-type']).toBe('application/json; charset=UTF-8');
    expect(JSON.parse(json.text).rows).toBe(rows);
    const compact = JSON.parse(await must(clickhouse, `${sql} FORMAT JSONCompact`));
    expect(compact.data.length).toBe(rows);
    const csv = (await must(clickhouse, `${sql} FORMAT CSVWithNames`)).trim().split('\n');
    expect([csv[0], csv.length]).toEqual(['"n","s"', rows + 1]);
    const parquet = await ask(clickhouse, `${sql} FORMAT Parquet`);
    expect(parquet.bytes.subarray(-4).toString()).toBe('PAR1');
    const binary = await ask(
      clickhouse,
      `SELECT toUInt32(number) FROM numbers(${rows}) FORMAT RowBinary`,
    );
    expect(binary.bytes.byteLength).toBe(rows * 4);
  });

  it('tell an empty result in their own way', async () => {
    const sql = 'SELECT a, s FROM otel.t WHERE a > 10';
    expect(await must(clickhouse, `${sql} FORMAT TSV`)).toBe('');
    expect(await must(clickhouse, `${sql} FORMAT CSVWithNames`)).toBe('"a","s"\n');
    expect(JSON.parse(await must(clickhouse, `${sql} FORMAT JSON`)).data).toEqual([]);
    const typed = await must(clickhouse, `${sql} FORMAT RowBinaryWithNamesAndTypes`);
    expect(typed).toBe('\u0002\u0001a\u0001s\u0006UInt64\u0006String');
    expect(await must(clickhouse, `${sql} FORMAT Null`)).toBe('');
  });

  it('that do not exist are refused with code 73', async () => {
    for (const options of [
      {},
      { query: { default_format: 'Nope' } },
      { query: { default_format: "x'" } },
    ]) {
      const sql = 'query' in options ? 'SELECT 1' : 'SELECT 1 FORMAT Nope';
      expect((await ask(clickhouse, sql, options)).headers['x-clickhouse-exception-code']).toBe(
        '73',
      );
    }
  });

  it('also apply to what is not a SELECT', async () => {
    expect(await must(clickhouse, "SHOW TABLES FROM otel LIKE 't' FORMAT JSONEachRow")).toBe(
      '{"name":"t"}\n',
    );
    expect(await must(clickhouse, "SHOW FULL TABLES FROM otel LIKE 't'")).toBe('t\tMergeTree\n');
    const described = JSON.parse(
      await must(clickhouse, 'DESCRIBE TABLE otel.t', { query: { default_format: 'JSON' } }),
    );
    expect(described.data.map((row: { name: string }) => row.name)).toEqual(['a', 's']);
    expect(await must(clickhouse, 'EXISTS TABLE otel.t')).toBe('1\n');
    expect(await must(clickhouse, 'CHECK TABLE otel.t')).toMatch(/\t1\t\n$/);
  });
});

describe('parameters and settings', () => {
  it('are typed, escaped as in TSV, and known only to their request', async () => {
    const sql =
      'SELECT {n:UInt64} + 1, {s:String}, {l:Array(String)}, {d:Date}, {x:Nullable(String)} IS NULL';
    const query = {
      param_n: 41,
      param_s: 'a\\tb',
      param_l: "['x','y']",
      param_d: '2026-01-02',
      param_x: '\\N',
    };
    expect(await must(clickhouse, sql, { as: 'reader', query })).toBe(
      "42\ta\\tb\t['x','y']\t2026-01-02\t1\n",
    );
    const later = await ask(clickhouse, 'SELECT {n:UInt64}', { as: 'reader' });
    expect([later.status, later.headers['x-clickhouse-exception-code']]).toEqual([400, '456']);
    const wrong = await ask(clickhouse, 'SELECT {n:UInt64}', {
      as: 'reader',
      query: { param_n: 'x' },
    });
    expect(wrong.headers['x-clickhouse-exception-code']).toBe('457');
  });

  it('stand for names of tables', async () => {
    const query = { param_d: 'otel', param_t: 't' };
    const sql = 'SELECT count() FROM {d:Identifier}.{t:Identifier}';
    expect(await must(clickhouse, sql, { as: 'reader', query })).toBe('2\n');
  });

  it('apply from the URL and from SETTINGS, only to their request', async () => {
    const sql = "SELECT getSetting('max_block_size')";
    for (const as of ['reader', 'writer'] as const) {
      expect(await must(clickhouse, sql, { as, query: { max_block_size: 77 } })).toBe('77\n');
      expect(await must(clickhouse, `${sql} SETTINGS max_block_size = 78`, { as })).toBe('78\n');
      expect(await must(clickhouse, sql, { as })).toBe('65409\n');
    }
  });

  it('choose the database', async () => {
    const sql = 'SELECT count() FROM t';
    expect(await must(clickhouse, sql, { as: 'reader', query: { database: 'otel' } })).toBe('2\n');
    expect(
      await must(clickhouse, sql, { as: 'reader', headers: { 'x-clickhouse-database': 'otel' } }),
    ).toBe('2\n');
    const missing = await ask(clickhouse, sql, { query: { database: 'nope' } });
    expect([missing.status, missing.headers['x-clickhouse-exception-code']]).toEqual([404, '81']);
  });

  it('that are unknown are refused with code 115', async () => {
    const answer = await ask(clickhouse, 'SELECT 1', { query: { no_such_setting: 1 } });
    expect([answer.status, answer.headers['x-clickhouse-exception-code']]).toEqual([404, '115']);
  });

  it('of the transport are taken without effect', async () => {
    const query = {
      send_progress_in_http_headers: 1,
      cancel_http_readonly_queries_on_client_close: 1,
      wait_end_of_query: 1,
      buffer_size: 1000,
      client_protocol_version: 54460,
      http_headers_progress_interval_ms: 100,
      log_queries: 1,
      readonly: 1,
    };
    expect(await must(clickhouse, 'SELECT 1', { as: 'reader', query })).toBe('1\n');
  });
});

describe('exceptions', () => {
  it('carry ClickHouse’s code, name, version and HTTP status', async () => {
    const cases: [sql: string, code: number, name: string, status: number][] = [
      ['SELEC 1', 62, 'SYNTAX_ERROR', 400],
      ['SELECT nope', 47, 'UNKNOWN_IDENTIFIER', 404],
      ['SELECT * FROM otel.nope', 60, 'UNKNOWN_TABLE', 404],
      ['SELECT * FROM nope.t', 81, 'UNKNOWN_DATABASE', 404],
      ['SELECT nope(1)', 46, 'UNKNOWN_FUNCTION', 404],
      ["SELECT throwIf(1, 'mine')", 395, 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO', 500],
      ["SELECT toUInt8('x')", 6, 'CANNOT_PARSE_TEXT', 400],
      ['CREATE TABLE otel.t (a UInt8) ENGINE = Memory', 57, 'TABLE_ALREADY_EXISTS', 500],
    ];
    for (const [sql, code, name, status] of cases) {
      const answer = await ask(clickhouse, sql);
      expect(answer.headers['x-clickhouse-exception-code']).toBe(String(code));
      expect(answer.text).toMatch(
        new RegExp(
          `^Code: ${code}\\. DB::Exception: [\\s\\S]+ \\(${name}\\) \\(version 2\\d\\.[\\d.]+ \\(official build\\)\\)\\n$`,
        ),
      );
      expect([sql, answer.status]).toEqual([sql, status]);
      expect(answer.text).not.toContain('formatQuery');
      expect(answer.text.match(/Code: /g)).toHaveLength(1);
    }
  });

  it('leave the connection usable', async () => {
    await ask(clickhouse, 'SELECT nope');
    expect(await must(clickhouse, 'SELECT 1')).toBe('1\n');
  });
});

describe('the greeting of the Go client', () => {
  it('is a Native block with block info and revision 0', async () => {
    const sql = 'SELECT displayName(), version(), revision(), timezone()';
    const { bytes, headers } = await ask(clickhouse, sql, {
      as: 'reader',
      query: { client_protocol_version: 54460, default_format: 'Native' },
    });
    expect(headers['x-clickhouse-format']).toBe('Native');
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from([1, 0, 2, 255, 255, 255, 255, 0]));
    expect(bytes.toString('latin1')).toContain('revision()\u0006UInt32\0\0\0\0\0');
    const plain = await must(clickhouse, sql, { as: 'reader' });
    expect(plain).toMatch(/^signalbox\t[\d.]+\t\d{5}\tUTC\n$/);
  });
});
