import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestClickHouse } from '../../support/clickhouse.ts';
import { ask, must } from './ask.ts';
import { makeVault, SECRET, type Vault } from './vault.ts';

let vault: Vault;
let clickhouse: TestClickHouse;

beforeAll(async () => {
  vault = await makeVault();
  clickhouse = vault.clickhouse;
});

afterAll(() => vault.stop());

describe('what reader can do', () => {
  it('reads the product’s tables, describes them, and computes', async () => {
    for (const sql of [
      'SELECT count() FROM otel.spans',
      'SELECT * FROM otel.fine',
      'WITH x AS (SELECT id FROM otel.spans) SELECT max(id) FROM x',
      '(SELECT 1) UNION ALL (SELECT 2)',
      'SELECT name FROM spans WHERE id IN (SELECT id FROM spans)',
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'otel'",
      'SHOW DATABASES',
      'SHOW TABLES FROM otel',
      "SHOW FULL TABLES FROM otel LIKE '%'",
      'SHOW CREATE TABLE otel.spans',
      'SHOW COLUMNS FROM otel.spans',
      'DESCRIBE TABLE otel.spans',
      'EXISTS otel.spans',
      'EXPLAIN SELECT * FROM otel.spans',
      "SELECT name, type FROM system.columns WHERE table = 'spans'",
      'SELECT name, value FROM system.settings LIMIT 1',
      'SELECT number FROM numbers(3)',
      "SELECT * FROM values('a UInt8', 1, 2)",
      "SELECT * FROM generateRandom('a UInt8') LIMIT 1",
      'SELECT 1 SETTINGS max_threads = 1',
      'SELECT version(), timezone(), currentDatabase(), hostName(), uptime() >= 0',
      "SELECT 'INTO OUTFILE', 'file(', ';' AS `set role`",
      "SELECT format('{}-{}', 'a', 'b')",
    ]) {
      const { status, text } = await ask(clickhouse, sql, {
        as: 'reader',
        query: { database: 'otel' },
      });
      expect(`${status} ${sql}${status === 200 ? '' : text}`).toBe(`200 ${sql}`);
    }
  });

  it('sees only the databases it may read', async () => {
    const names = await must(clickhouse, 'SHOW DATABASES', { as: 'reader' });
    expect(names.trim().split('\n')).toEqual(['default', 'otel', 'signalbox', 'system']);
    const tables = await must(
      clickhouse,
      "SELECT count() FROM system.tables WHERE database = 'vault'",
      {
        as: 'reader',
      },
    );
    expect(tables).toBe('0\n');
    const schemas = await must(
      clickhouse,
      "SELECT count() FROM information_schema.tables WHERE table_schema = 'vault'",
      {
        as: 'reader',
      },
    );
    expect(schemas).toBe('0\n');
  });
});

describe('what reader cannot do by settings, parameters and sessions', () => {
  it('cannot raise its own limits', async () => {
    const limits = async (query: Record<string, string>) =>
      must(
        clickhouse,
        "SELECT getSetting('max_memory_usage'), getSetting('max_execution_time'), getSetting('readonly')",
        { as: 'reader', query },
      );
    const usual = await limits({});
    expect(
      usual
        .trim()
        .split('\t')
        .every((value) => Number(value) > 0),
    ).toBe(true);
    expect(await limits({ max_memory_usage: '0', max_execution_time: '0', readonly: '0' })).toBe(
      usual,
    );
    expect(await limits({ max_memory_usage: '99999999999999', max_execution_time: '1e9' })).toBe(
      usual,
    );
    expect(await limits({ max_execution_time: '1' })).not.toBe(usual);
  });

  it('gets nowhere by parameters that stand for names or carry quotes', async () => {
    const attacks: [string, Record<string, string>][] = [
      ['SELECT * FROM {d:Identifier}.{t:Identifier}', { param_d: 'vault', param_t: 'secrets' }],
      ['SELECT * FROM {d:Identifier}.{t:Identifier}', { param_d: 'system', param_t: 'processes' }],
      ['SELECT * FROM system.{t:Identifier}', { param_t: 'processes' }],
      ['SELECT * FROM {d:Identifier}.processes', { param_d: 'system' }],
      ['SELECT * FROM {t:Identifier}', { param_t: 'system.processes' }],
      ["SELECT {f:Identifier}('/etc/passwd')", { param_f: 'file' }],
      ["SELECT * APPLY({f:Identifier}) FROM (SELECT '/etc/passwd')", { param_f: 'file' }],
      ['SELECT {x:String', { param_x: 'a' }],
      ['SELECT {x:UInt8}', { param_x: '1; DROP TABLE otel.spans' }],
      ['SELECT {x:UInt8}', { 'param_x = 1; SET ROLE ALL; SET param_y': '1' }],
      ['SELECT {x:Identifier} FROM otel.spans', {}],
      ["SELECT * FROM {d:Identifier}.processes SETTINGS param_d = 'system'", { param_d: 'otel' }],
      ["SELECT * FROM {d:Identifier}.secrets SETTINGS param_d = 'vault'", { param_d: 'otel' }],
      ['SELECT 1', { additional_result_filter: "file('/etc/passwd') != ''" }],
      ['SELECT 1', { additional_table_filters: "{'otel.spans': 'file(\\'/etc/passwd\\')'}" }],
      ['SELECT 1', { parallel_replicas_custom_key: "file('/etc/passwd')" }],
      ["SELECT 1 SETTINGS additional_result_filter = 'file(\\'/etc/passwd\\')'", {}],
    ];
    for (const [sql, query] of attacks) expect(await vault.succeed([sql], query)).toEqual([]);
    const quoted = await must(clickhouse, 'SELECT {x:String}', {
      as: 'reader',
      query: { param_x: "'; SET ROLE ALL; --" },
    });
    expect(quoted).toBe("\\'; SET ROLE ALL; --\n");
  });

  it('sends no tables of its own and no query in two parts', async () => {
    const multipart = await ask(clickhouse, '--x\r\n\r\n', {
      as: 'reader',
      query: { query: 'SELECT * FROM t', t_structure: 'a String' },
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
    });
    expect(multipart.status).toBe(501);
    const parts = await ask(clickhouse, 'DROP TABLE otel.spans', {
      as: 'reader',
      query: { query: 'SELECT 1;' },
    });
    expect(parts.status).toBe(400);
    expect(await must(clickhouse, 'SELECT count() FROM otel.spans')).toBe('2\n');
  });

  it('gets nothing from a session of writer, and leaves nothing in one for writer', async () => {
    const session_id = 'shared';
    await must(clickhouse, `CREATE TEMPORARY TABLE mine AS SELECT '${SECRET}' AS value`, {
      query: { session_id },
    });
    await must(clickhouse, 'USE vault', { query: { session_id } });
    expect(await must(clickhouse, 'SELECT count() FROM mine', { query: { session_id } })).toBe(
      '1\n',
    );
    expect(
      await vault.succeed(['SELECT * FROM mine', 'SELECT * FROM secrets'], { session_id }),
    ).toEqual([]);
    await must(clickhouse, 'SET max_threads = 1', { as: 'reader', query: { session_id } });
    await must(clickhouse, 'USE otel', { as: 'reader', query: { session_id } });
    const writers = await must(
      clickhouse,
      "SELECT currentDatabase(), getSetting('max_threads') = 1",
      {
        query: { session_id },
      },
    );
    expect(writers).toBe('vault\t0\n');
    const stillReader = await ask(clickhouse, "INSERT INTO otel.spans VALUES (9, 'x')", {
      as: 'reader',
      query: { session_id },
    });
    expect(stillReader.status).toBe(403);
  });
});

describe('what even writer cannot do through the port', () => {
  it('reaches no files and no addresses, and does not stop the server', async () => {
    for (const sql of [
      "SELECT file('/etc/passwd')",
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      `SELECT * FROM url('http://127.0.0.1:${vault.outsidePort}/', 'LineAsString', 'a String')`,
      "SELECT 1 INTO OUTFILE '/tmp/x'",
      "CREATE TABLE vault.f (a String) ENGINE = File('LineAsString', '/etc/passwd')",
      `CREATE TABLE vault.f (a String) ENGINE = URL('http://127.0.0.1:${vault.outsidePort}/', 'CSV')`,
      "CREATE TABLE vault.f (a String) ENGINE = Executable('id', 'TSV')",
      "CREATE TABLE vault.f AS file('/etc/passwd', 'LineAsString')",
      "CREATE VIEW vault.f AS SELECT file('/etc/passwd')",
      "CREATE DATABASE f ENGINE = Filesystem('/etc')",
      "CREATE DICTIONARY vault.d (a UInt64, b String) PRIMARY KEY a SOURCE(EXECUTABLE(command 'id' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)",
      `CREATE DICTIONARY vault.d (a UInt64, b String) PRIMARY KEY a SOURCE(HTTP(url 'http://127.0.0.1:${vault.outsidePort}/' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)`,
      'CREATE OR REPLACE DICTIONARY vault.d (a UInt64, b String) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(1)',
      'CREATE FUNCTION f AS x -> x',
      "SELECT * FROM executable('id', 'TSV', 'a String')",
      "INSERT INTO FUNCTION file('/tmp/x.csv', 'CSV', 'a String') VALUES ('x')",
      'INSERT INTO vault.secrets; DROP TABLE vault.secrets FORMAT TSV',
      "BACKUP TABLE vault.secrets TO Disk('default', 'x')",
      "CREATE USER u IDENTIFIED BY 'x'",
      'GRANT ALL ON *.* TO default',
      "INSERT INTO vault.secrets FROM INFILE '/etc/passwd' FORMAT LineAsString",
      'SET ROLE ALL',
      'SYSTEM SHUTDOWN',
      'SYSTEM KILL',
    ]) {
      const { status } = await ask(clickhouse, sql);
      expect(`${status >= 400} ${sql}`).toBe(`true ${sql}`);
    }
    expect(vault.outsideCalls()).toBe(0);
  });
});
