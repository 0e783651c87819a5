import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestClickHouse } from '../../support/clickhouse.ts';
import { makeVault, type Vault } from './vault.ts';

let vault: Vault;
let clickhouse: TestClickHouse;

beforeAll(async () => {
  vault = await makeVault();
  clickhouse = vault.clickhouse;
});

afterAll(() => vault.stop());

describe('reader and the world outside', () => {
  it('reads no file', async () => {
    expect(
      await vault.succeed([
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
      await vault.succeed([
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
    const address = `127.0.0.1:${vault.outsidePort}`;
    expect(
      await vault.succeed([
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
});
