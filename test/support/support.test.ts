import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import pg from 'pg';
import { expect, it } from 'vitest';
import { startProcess } from './child-process.ts';
import { freePort } from './free-port.ts';
import { type PostgresTemplate, startTestPostgres } from './postgres.ts';
import { makeTempDir } from './temp-dir.ts';
import { waitFor } from './wait-for.ts';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows;
}

it('gives a directory that is gone when its scope ends', async () => {
  let path = '';
  {
    await using dir = await makeTempDir();
    path = dir.path;
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});

it('waits until the condition holds and returns what it gave', async () => {
  let calls = 0;
  const value = await waitFor(() => (++calls < 3 ? undefined : `after ${calls}`), {
    intervalMs: 1,
  });
  expect(value).toBe('after 3');
});

it('says what it waited for in vain, and why', async () => {
  const waiting = waitFor(() => Promise.reject(new Error('no such row')), {
    timeoutMs: 10,
    intervalMs: 1,
    what: 'the row',
  });
  await expect(waiting).rejects.toMatchObject({
    message: expect.stringContaining('waited 10 ms for the row in vain'),
    cause: expect.objectContaining({ message: 'no such row' }),
  });
});

it('finds a port that can be listened on', async () => {
  const port = await freePort();
  const server = createServer((socket) => socket.end('hello')).listen(port, '127.0.0.1');
  const text = await new Promise<string>((resolve) => {
    connect(port, '127.0.0.1').on('data', (data) => resolve(String(data)));
  });
  expect(text).toBe('hello');
  server.close();
});

it('reads the lines of a process, and ends it by signal', async () => {
  await using process_ = startProcess(process.execPath, [
    '-e',
    'console.log("ready on 7"); setInterval(() => {}, 1000); process.on("SIGTERM", () => process.exit(3))',
  ]);
  expect(await process_.waitForLine(/^ready/)).toBe('ready on 7');
  expect(process_.exitCode()).toBeUndefined();
  expect(await process_.stop()).toBe(3);
});

it('fails at once when the process ends before the line came', async () => {
  await using process_ = startProcess(process.execPath, ['-e', 'console.error("port in use")']);
  await expect(process_.waitForLine(/ready/)).rejects.toThrow(/port in use/);
});

it('gives each caller an empty PostgreSQL 18 database of its own', async () => {
  await using first = await startTestPostgres();
  await using second = await startTestPostgres();
  await query(first.url, 'CREATE TABLE t (x int)');
  expect(await query(second.url, `SELECT to_regclass('t') AS t`)).toEqual([{ t: null }]);
  expect(await query(second.url, 'SHOW server_version')).toEqual([
    { server_version: expect.stringMatching(/^18/) },
  ]);
});

it('prepares a template once and clones it for each caller', async () => {
  let prepared = 0;
  const template: PostgresTemplate = {
    name: 'support_test',
    prepare: async (url) => {
      prepared += 1;
      await query(url, 'CREATE TABLE t AS SELECT 42 AS x');
    },
  };
  const databases = await Promise.all([1, 2, 3].map(() => startTestPostgres({ template })));
  for (const database of databases) {
    expect(await query(database.url, 'SELECT x FROM t')).toEqual([{ x: 42 }]);
    await database.stop();
  }
  expect(prepared).toBe(1);
});

it('does not hand out a template whose preparation failed', async () => {
  const name = 'support_test_failing';
  const failing = { name, prepare: () => Promise.reject(new Error('bad migration')) };
  await expect(startTestPostgres({ template: failing })).rejects.toThrow('bad migration');
  const mended = { name, prepare: async (url: string) => void (await query(url, 'SELECT 1')) };
  await using database = await startTestPostgres({ template: mended });
  expect(await query(database.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});
