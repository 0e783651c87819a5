import { readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { ask, must } from './ask.ts';

/** What an attack must never see or change. */
const SECRET = 'top-secret-b51c';

let clickhouse: TestClickHouse;
let outside: Server;
let outsideCalls = 0;
let outsidePort = 0;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  for (const sql of [
    'CREATE DATABASE otel',
    'CREATE DATABASE signalbox',
    'CREATE DATABASE vault',
    'CREATE TABLE otel.spans (id UInt64, name String) ENGINE = MergeTree ORDER BY id',
    "INSERT INTO otel.spans VALUES (1, 'first'), (2, 'second')",
    'CREATE TABLE signalbox.pools (name String) ENGINE = MergeTree ORDER BY name',
    'CREATE TABLE vault.secrets (value String) ENGINE = MergeTree ORDER BY value',
    `INSERT INTO vault.secrets VALUES ('${SECRET}')`,
    `CREATE TABLE default.private ENGINE = Memory AS SELECT '${SECRET}' AS value`,
    'CREATE VIEW otel.fine AS SELECT id FROM otel.spans',
  ]) {
    await must(clickhouse, sql);
  }
  outside = createServer((_request, response) => {
    outsideCalls += 1;
    response.end(SECRET);
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  const address = outside.address();
  outsidePort = typeof address === 'object' && address ? address.port : 0;
});

afterAll(async () => {
  outside.close();
  await clickhouse.stop();
});

/** Everything that an attack might have changed. */
async function state(): Promise<string> {
  const parts = await Promise.all([
    must(clickhouse, 'SELECT count(), sum(id) FROM otel.spans'),
    must(clickhouse, 'SELECT count() FROM vault.secrets'),
    must(clickhouse, 'SELECT name FROM system.databases ORDER BY name'),
    must(
      clickhouse,
      "SELECT database, name FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') ORDER BY 1, 2",
    ),
    must(clickhouse, "SELECT name FROM system.functions WHERE origin != 'System'"),
  ]);
  const files = readdirSync(clickhouse.dataDir, { recursive: true })
    .map(String)
    .filter(
      (name) =>
        !/^data\/(?:store|data)\/|^data\/status$|^outgoing\/|_config|preprocessed/.test(name),
    )
    .sort();
  return [...parts, ...files].join('\n');
}

/** Sends each as reader and gives those that were answered, or that told the secret. */
async function succeed(
  attacks: readonly string[],
  query: Record<string, string> = {},
): Promise<string[]> {
  const before = await state();
  const successes: string[] = [];
  for (const attack of attacks) {
    const { status, text, headers } = await ask(clickhouse, attack, { as: 'reader', query });
    const isRefused = status >= 400 && headers['x-clickhouse-exception-code'] !== undefined;
    if (!isRefused || text.includes(SECRET) || /root:.*:0:0/.test(text)) {
      successes.push(`${attack} → ${status} ${text.slice(0, 200)}`);
    }
  }
  expect(outsideCalls).toBe(0);
  expect(await state()).toBe(before);
  return successes;
}

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

describe('what reader cannot do', () => {
  it('reads no file', async () => {
    expect(
      await succeed([
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT FILE('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        'SELECT "file"(\'/etc/passwd\')',
        "SELECT/**/file/**/(/* x */'/etc/passwd')",
        "SELECT file -- comment\n('/etc/passwd')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
        "SELECT COLUMNS('.*') APPLY (x -> file(x)) FROM (SELECT '/etc/passwd' AS a)",
        "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
        "SELECT (SELECT file('/etc/passwd'))",
        "WITH file('/etc/passwd') AS f SELECT f",
        "SELECT 1 WHERE file('/etc/passwd') != ''",
        "SELECT id FROM otel.spans ORDER BY file('/etc/passwd')",
        "SELECT id FROM otel.spans LIMIT length(file('/etc/passwd'))",
        "SELECT count() FROM otel.spans PREWHERE file('/etc/passwd') != ''",
        "EXPLAIN SELECT file('/etc/passwd')",
        "EXPLAIN SYNTAX SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
        "DESCRIBE (SELECT file('/etc/passwd') AS x)",
        "SELECT * FROM fileCluster('default', '/etc/passwd', 'LineAsString')",
        "SELECT * FROM sqlite('/etc/passwd', 'x')",
        "SELECT * FROM filesystem('/etc')",
        "SELECT * FROM icebergLocal('/etc')",
        "SELECT * FROM deltaLakeLocal('/etc')",
        "SELECT catboostEvaluate('/etc/passwd', 1)",
        "SELECT * FROM eval('SELECT file(\\'/etc/passwd\\')')",
        "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('/etc/passwd')))",
        "SELECT * FROM view(SELECT file('/etc/passwd'))",
        "SELECT * FROM viewIfPermitted(SELECT file('/etc/passwd') AS a ELSE null('a String'))",
        'SELECT filesystemAvailable()',
        "SELECT initializeAggregation('file', '/etc/passwd')",
        'SELECT $x$a$x$, file($y$/etc/passwd$y$)',
        "SELECT '\\'', file('/etc/passwd') --'",
        "SELECT 'a''', file('/etc/passwd')",
        "SELECT '\\\\', file('/etc/passwd') AS \"'\"",
      ]),
    ).toEqual([]);
  });

  it('writes no file', async () => {
    const target = join(clickhouse.dataDir, 'stolen.txt');
    expect(
      await succeed([
        `SELECT 1 INTO OUTFILE '${target}'`,
        `SELECT 1 INTO/**/OUTFILE '${target}' TRUNCATE FORMAT CSV`,
        `SELECT 1 into outfile '${target}' AND STDOUT`,
        `SHOW TABLES FROM otel INTO OUTFILE '${target}'`,
        `EXPLAIN SELECT 1 INTO OUTFILE '${target}'`,
        `DESCRIBE otel.spans INTO OUTFILE '${target}'`,
        `INSERT INTO FUNCTION file('${target}', 'CSV', 'a String') SELECT 'x'`,
        `INSERT INTO FUNCTION file('${target}', 'CSV', 'a String') VALUES ('x')`,
        "BACKUP DATABASE otel TO File('/tmp/stolen')",
        "BACKUP TABLE otel.spans TO Disk('default', 'stolen')",
      ]),
    ).toEqual([]);
  });

  it('calls no address', async () => {
    const address = `127.0.0.1:${outsidePort}`;
    expect(
      await succeed([
        `SELECT * FROM url('http://${address}/', 'LineAsString', 'a String')`,
        `SELECT * FROM urlCluster('default', 'http://${address}/', 'CSV', 'a String')`,
        `SELECT * FROM s3('http://${address}/b/k', 'CSV', 'a String')`,
        `SELECT * FROM gcs('http://${address}/b/k', 'CSV', 'a String')`,
        `SELECT * FROM hdfs('hdfs://${address}/k', 'CSV', 'a String')`,
        `SELECT * FROM azureBlobStorage('http://${address}/', 'c', 'b', 'a', 'CSV', 'auto', 'a String')`,
        `SELECT * FROM remote('${address}', system.one)`,
        `SELECT * FROM remoteSecure('${address}', system.one)`,
        `SELECT * FROM remote('127.0.0.1', vault.secrets)`,
        `SELECT * FROM cluster('default', vault.secrets)`,
        `SELECT * FROM clusterAllReplicas('default', vault.secrets)`,
        `SELECT * FROM mysql('${address}', 'd', 't', 'u', 'p')`,
        `SELECT * FROM postgresql('${address}', 'd', 't', 'u', 'p')`,
        `SELECT * FROM mongodb('${address}', 'd', 'c', 'u', 'p', 'a String')`,
        `SELECT * FROM redis('${address}', 'k', 'k String, v String')`,
        `SELECT * FROM odbc('DSN=x', 'd', 't')`,
        `SELECT * FROM jdbc('jdbc:x', 'd', 't')`,
        `SELECT * FROM arrowstream('${address}')`,
        `SELECT * FROM iceberg('http://${address}/b')`,
        `SELECT * FROM deltaLake('http://${address}/b')`,
        `DESCRIBE TABLE url('http://${address}/', 'CSV')`,
        `EXPLAIN TABLE OVERRIDE mysql('${address}', 'd', 't', 'u', 'p') PARTITION BY 1`,
        `SELECT hasColumnInTable('${address}', 'u', 'p', 'd', 't', 'c')`,
        `SELECT aiGenerate('x', 'y')`,
        `SELECT showCertificate()`,
        `SELECT * FROM executable('cat /etc/passwd', 'LineAsString', 'a String')`,
      ]),
    ).toEqual([]);
  });

  it('reads no other database and no system table that tells of others', async () => {
    expect(
      await succeed([
        'SELECT * FROM vault.secrets',
        'SELECT * FROM default.private',
        'SELECT * FROM `vault`.`secrets`',
        'SELECT (SELECT value FROM vault.secrets)',
        'SELECT 1 IN (SELECT value FROM vault.secrets)',
        'SELECT 1 IN vault.secrets',
        "SELECT * FROM merge('vault', '.*')",
        "SELECT * FROM merge(REGEXP('.*'), 'secrets')",
        "SELECT joinGet('vault.secrets', 'value', 1)",
        "SELECT dictGet('vault.secrets', 'value', 1)",
        "SELECT * FROM dictionary('vault.secrets')",
        'SELECT * FROM loop(vault.secrets)',
        "SELECT * FROM mergeTreeIndex('vault', 'secrets')",
        "SELECT * FROM mergeTreeProjection('vault', 'secrets', 'p')",
        'SELECT * FROM otel.spans JOIN vault.secrets ON 1 = 1',
        'DESCRIBE vault.secrets',
        'SHOW CREATE TABLE vault.secrets',
        'SHOW CREATE DATABASE vault',
        'SELECT * FROM system.processes',
        'SELECT * FROM system . processes',
        'SELECT * FROM `system`.`processes`',
        'SELECT * FROM "system.processes"',
        'SELECT * FROM system./* */processes',
        'SELECT p.query FROM system.processes AS p',
        'SELECT (SELECT any(query) FROM system.processes)',
        'SELECT 1 IN system.processes',
        'SELECT * FROM system.users',
        'SELECT * FROM system.roles',
        'SELECT * FROM system.grants',
        'SELECT * FROM system.current_roles',
        'SELECT * FROM system.parts',
        'SELECT * FROM system.disks',
        'SELECT * FROM system.server_settings',
        'SELECT * FROM system.named_collections',
        'SELECT * FROM system.dictionaries',
        'SELECT * FROM system.user_processes',
        'SELECT * FROM system.stack_trace',
        'SELECT * FROM system.errors',
        'SHOW PROCESSLIST',
        'SHOW GRANTS',
        'SHOW ACCESS',
        'SHOW USERS',
        'SHOW ROLES',
        'SHOW CREATE USER default',
        'SHOW CLUSTERS',
        'SHOW FILESYSTEM CACHES',
        'SELECT currentRoles()',
        'SELECT enabledRoles()',
        'SELECT defaultRoles()',
        "SELECT getMacro('x')",
        "SELECT getServerSetting('max_connections')",
        'USE system',
        'USE information_schema',
      ]),
    ).toEqual([]);
    expect(await succeed(['SELECT * FROM private'], { database: 'default' })).toEqual([]);
    expect(await succeed(['SELECT * FROM processes'], { database: 'system' })).toEqual([]);
    expect(await succeed(['SELECT * FROM tables'], { database: 'INFORMATION_SCHEMA' })).toEqual([]);
  });

  it('changes no data, no schema, no server', async () => {
    expect(
      await succeed([
        'DROP TABLE otel.spans',
        'DROP DATABASE otel',
        'TRUNCATE TABLE otel.spans',
        'CREATE TABLE otel.x (a UInt8) ENGINE = Memory',
        'CREATE TEMPORARY TABLE x (a UInt8)',
        'CREATE DATABASE x',
        'CREATE VIEW otel.x AS SELECT * FROM vault.secrets',
        'CREATE FUNCTION f AS x -> file(x)',
        "CREATE DICTIONARY otel.d (a UInt8) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd' format 'CSV')) LAYOUT(FLAT()) LIFETIME(1)",
        "CREATE NAMED COLLECTION n AS a = 'b'",
        "CREATE USER u IDENTIFIED BY 'x'",
        'ALTER TABLE otel.spans DELETE WHERE 1',
        'ALTER TABLE otel.spans ADD COLUMN x UInt8',
        'DELETE FROM otel.spans WHERE 1',
        "UPDATE otel.spans SET name = 'x' WHERE 1",
        'RENAME TABLE otel.spans TO otel.other',
        'EXCHANGE TABLES otel.spans AND otel.other',
        'OPTIMIZE TABLE otel.spans FINAL',
        "INSERT INTO otel.spans VALUES (3, 'x')",
        "INSERT INTO otel.spans SELECT 3, 'x'",
        'INSERT INTO otel.spans FORMAT JSONEachRow {"id": 3}',
        "/* x */ INSERT INTO otel.spans VALUES (3, 'x')",
        "WITH 3 AS a INSERT INTO otel.spans SELECT a, 'x'",
        'DETACH TABLE otel.spans',
        'ATTACH TABLE otel.spans',
        'UNDROP TABLE otel.spans',
        'KILL QUERY WHERE 1',
        'KILL MUTATION WHERE 1',
        'SYSTEM SHUTDOWN',
        'SYSTEM FLUSH LOGS',
        'SYSTEM STOP MERGES',
        'SYSTEM DROP MARK CACHE',
        'CHECK TABLE otel.spans',
        'MOVE USER x TO y',
        'BEGIN TRANSACTION',
        'GRANT ALL ON *.* TO default',
        'REVOKE ALL ON *.* FROM default',
        'EXPLAIN AST DROP TABLE otel.spans',
      ]),
    ).toEqual([]);
  });

  it('takes on no other rights, by no statement, setting or second statement', async () => {
    expect(
      await succeed([
        'SET ROLE ALL',
        'SET ROLE NONE',
        'SET ROLE DEFAULT',
        'SET ROLE ALL EXCEPT x',
        'SET DEFAULT ROLE ALL TO default',
        'EXECUTE AS default',
        'EXECUTE AS default SELECT 1',
        'SET readonly_ = 0',
        'SET allow_introspection_functions = 1',
        'SET allow_ddl = 1',
        'SELECT 1 SETTINGS allow_introspection_functions = 1',
        'SELECT 1 FROM (SELECT 1 SETTINGS max_threads = 1)',
        "SELECT (SELECT getSetting('max_memory_usage') SETTINGS max_memory_usage = 77777777777)",
        'SELECT 1 SETTINGS max_memory_usage = 77777777777 UNION ALL SELECT 2',
        'SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0) SETTINGS max_threads = 1',
        'SELECT * FROM (SELECT 1 SeTTings `max_execution_time` = 0)',
        'SELECT 1; SELECT 2',
        'SELECT 1; SET ROLE ALL',
        "SELECT 1;\nINSERT INTO otel.spans VALUES (3, 'x')",
        'SELECT 1; DROP TABLE otel.spans',
        'SELECT 1 FORMAT TSV; DROP TABLE otel.spans',
        "SELECT ';' ; DROP TABLE otel.spans",
        'SELECT 1 -- x\n; DROP TABLE otel.spans',
        'SELECT 1\0; DROP TABLE otel.spans',
        'PARALLEL WITH SELECT 1 PARALLEL WITH DROP TABLE otel.spans',
        '',
        ';',
        'nonsense',
      ]),
    ).toEqual([]);
    for (const setting of [
      'allow_introspection_functions',
      'max_memory_usage_for_user',
      'user_files_path',
      'format_schema',
      'format_schema_source',
      'output_format_schema',
      'additional_result_filter_',
      'storage_file_read_method',
      'readonly_',
      'profile',
      'implicit_select',
      'dialect',
    ]) {
      expect(await succeed(['SELECT 1'], { [setting]: '1' })).toEqual([]);
    }
  });

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
    ];
    for (const [sql, query] of attacks) expect(await succeed([sql], query)).toEqual([]);
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
    expect(await succeed(['SELECT * FROM mine', 'SELECT * FROM secrets'], { session_id })).toEqual(
      [],
    );
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
      `SELECT * FROM url('http://127.0.0.1:${outsidePort}/', 'LineAsString', 'a String')`,
      "SELECT 1 INTO OUTFILE '/tmp/x'",
      "INSERT INTO vault.secrets FROM INFILE '/etc/passwd' FORMAT LineAsString",
      'SET ROLE ALL',
      'SYSTEM SHUTDOWN',
      'SYSTEM KILL',
    ]) {
      const { status } = await ask(clickhouse, sql);
      expect(`${status >= 400} ${sql}`).toBe(`true ${sql}`);
    }
    expect(outsideCalls).toBe(0);
  });
});
