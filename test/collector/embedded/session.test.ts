import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ask, must } from './ask.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  await must(clickhouse, 'CREATE DATABASE otel');
  await must(clickhouse, 'CREATE TABLE otel.t (a UInt64) ENGINE = MergeTree ORDER BY a');
});

afterAll(() => clickhouse.stop());

const code = 'x-clickhouse-exception-code';

describe('a session', () => {
  it('keeps temporary tables, settings and the database between requests', async () => {
    const query = { session_id: 'keeps' };
    await must(clickhouse, 'CREATE TEMPORARY TABLE mine (a UInt8)', { query });
    await must(clickhouse, 'INSERT INTO mine VALUES (1), (2)', { query });
    await must(clickhouse, "SET max_block_size = 77, param_x = '5'", { query });
    await must(clickhouse, 'USE otel', { query });
    const sql =
      "SELECT (SELECT count() FROM mine), getSetting('max_block_size'), currentDatabase(), {x:UInt8}";
    expect(await must(clickhouse, sql, { query })).toBe('2\t77\totel\t5\n');
    const outside = await ask(clickhouse, 'SELECT count() FROM mine');
    expect(outside.headers[code]).toBe('60');
    expect(await must(clickhouse, "SELECT getSetting('max_block_size'), currentDatabase()")).toBe(
      '65409\tdefault\n',
    );
  });

  it('of reader keeps settings and the database, and stays a reader’s', async () => {
    const options = { as: 'reader', query: { session_id: 'readers' } } as const;
    await must(clickhouse, 'SET max_block_size = 78', options);
    await must(clickhouse, 'USE otel', options);
    expect(
      await must(
        clickhouse,
        "SELECT getSetting('max_block_size'), currentDatabase() FROM t UNION ALL SELECT getSetting('max_block_size'), currentDatabase()",
        options,
      ),
    ).toBe('78\totel\n');
    const refused = await ask(clickhouse, 'SET allow_ddl = 1', options);
    expect(refused.headers[code]).toBe('115');
    expect(
      (await ask(clickhouse, 'CREATE TEMPORARY TABLE x (a UInt8)', options)).headers[code],
    ).toBe('497');
  });

  it('is not changed by settings of a single request', async () => {
    const query = { session_id: 'single' };
    const sql = "SELECT getSetting('max_block_size'), currentDatabase()";
    await must(clickhouse, 'CREATE TEMPORARY TABLE mine (a UInt8)', { query });
    expect(
      await must(clickhouse, sql, { query: { ...query, max_block_size: 99, database: 'otel' } }),
    ).toBe('99\totel\n');
    expect(await must(clickhouse, sql, { query })).toBe('65409\tdefault\n');
  });

  it('must exist where session_check asks for it', async () => {
    const missing = await ask(clickhouse, 'SELECT 1', {
      query: { session_id: 'missing', session_check: 1 },
    });
    expect([missing.status, missing.headers[code]]).toEqual([500, '372']);
    await must(clickhouse, 'SELECT 1', { query: { session_id: 'there' } });
    expect(
      await must(clickhouse, 'SELECT 1', { query: { session_id: 'there', session_check: 1 } }),
    ).toBe('1\n');
  });

  it('serves one request at a time', async () => {
    const query = { session_id: 'busy' };
    const slow = must(clickhouse, 'SELECT sleep(1)', { query });
    const locked = await waitFor(async () => {
      const answer = await ask(clickhouse, 'SELECT 1', { query });
      return answer.status === 200 ? undefined : answer;
    });
    expect(locked.headers[code]).toBe('373');
    await slow;
    expect(await must(clickhouse, 'SELECT 1', { query })).toBe('1\n');
  });

  it('ends after its timeout', async () => {
    const query = { session_id: 'short', session_timeout: 0 };
    await must(clickhouse, 'CREATE TEMPORARY TABLE mine (a UInt8)', { query });
    await waitFor(async () => {
      const answer = await ask(clickhouse, 'SELECT 1', { query: { ...query, session_check: 1 } });
      return answer.headers[code] === '372';
    });
    for (const session_timeout of ['x', '-1', '99999']) {
      const wrong = await ask(clickhouse, 'SELECT 1', {
        query: { session_id: 'x', session_timeout },
      });
      expect([wrong.status, wrong.headers[code]]).toEqual([400, '374']);
    }
  });

  it('ends at once where close_session asks for it', async () => {
    const query = { session_id: 'closed' };
    await must(clickhouse, 'CREATE TEMPORARY TABLE mine (a UInt8)', { query });
    await must(clickhouse, 'SELECT 1', { query: { ...query, close_session: 1 } });
    const gone = await ask(clickhouse, 'SELECT 1', { query: { ...query, session_check: 1 } });
    expect(gone.headers[code]).toBe('372');
  });

  it('cannot be opened without end', async () => {
    const codes = new Set<string | undefined>();
    for (let at = 0; at < 130; at += 1) {
      const query = { session_id: `many-${at}`, session_timeout: 5 };
      codes.add(
        (await ask(clickhouse, 'SET max_threads = 1', { as: 'reader', query })).headers[code],
      );
    }
    expect(codes.has('202')).toBe(true);
    expect(await must(clickhouse, 'SELECT 1', { query: { session_id: 'writers-own' } })).toBe(
      '1\n',
    );
  });
});
