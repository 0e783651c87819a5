import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOptions } from '../../../collector/embedded/options.ts';
import { startEmbeddedClickHouse } from '../../../collector/embedded/start.ts';
import { startProcess } from '../../support/child-process.ts';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { skipWhen } from '../../support/skip-when.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ask, must } from './ask.ts';

const MAIN = join(import.meta.dirname, '../../../collector/embedded/main.ts');
const PASSWORDS = {
  SIGNALBOX_CLICKHOUSE_READER_PASSWORD: 'reader-password',
  SIGNALBOX_CLICKHOUSE_WRITER_PASSWORD: 'writer-password',
};

let directory: TempDir;

beforeAll(async () => {
  directory = await makeTempDir('clickhouse-process');
});

afterAll(() => directory.remove());

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const startMain = (...args: string[]) =>
  startProcess(process.execPath, [MAIN, ...args], { env: PASSWORDS });

describe('the process', () => {
  it('says in one line that it is ready, and ends within seconds at SIGTERM, whatever runs', async () => {
    const dataDir = join(directory.path, 'ready');
    await using server = startMain('--data-dir', dataDir, '--port', '0');
    const ready = JSON.parse(await server.waitForLine(/^\{"ready":true/));
    const query = new URLSearchParams({ user: 'writer', password: 'writer-password' });
    const slow = fetch(`http://127.0.0.1:${ready.port}/?${query}`, {
      method: 'POST',
      body: 'SELECT count() FROM numbers(100000000000) WHERE number % 7 = cityHash64(number) % 11',
    }).catch(() => undefined);
    await waitFor(async () => {
      const reply = await fetch(`http://127.0.0.1:${ready.port}/?${query}`, {
        method: 'POST',
        body: 'SELECT count() FROM system.processes',
      });
      return Number(await reply.text()) > 1;
    });
    const started = performance.now();
    expect(await server.stop('SIGTERM')).toBe(0);
    expect(performance.now() - started).toBeLessThan(6_000);
    await slow;
  });

  it('writes only below its data directory', async () => {
    const dataDir = join(directory.path, 'inside', 'data');
    const cwd = join(directory.path, 'cwd');
    mkdirSync(cwd);
    await using server = startProcess(process.execPath, [MAIN, '--data-dir', dataDir], {
      cwd,
      env: PASSWORDS,
    });
    await server.waitForLine(/^\{"ready":true/);
    await server.stop();
    expect(readdirSync(cwd)).toEqual([]);
    expect(readdirSync(join(directory.path, 'inside'))).toEqual(['data']);
  });

  it('ends by itself when the process that started it is killed', async () => {
    const dataDir = join(directory.path, 'orphan');
    const script = `
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ${JSON.stringify([MAIN, '--data-dir', dataDir])}, { stdio: ['ignore', 'inherit', 'inherit'] });
      console.log('child ' + child.pid);
      setInterval(() => {}, 1000);`;
    const parent = startProcess(process.execPath, ['-e', script], { env: PASSWORDS });
    const line = await parent.waitForLine(/^child \d+/);
    await parent.waitForLine(/^\{"ready":true/);
    const pid = Number(line.split(' ')[1]);
    expect(isAlive(pid)).toBe(true);
    process.kill(parent.pid, 'SIGKILL');
    await waitFor(() => !isAlive(pid), { what: 'the orphan to end' });
  });

  it('refuses a data directory that another one uses, and says so', async () => {
    await using first = await startTestClickHouse();
    const second = startMain('--data-dir', first.dataDir);
    expect(await second.waitForExit()).toBe(1);
    expect(second.stderr()).toMatch(
      /data directory .* is in use by another embedded ClickHouse: stop that process/,
    );
    expect(await must(first, 'SELECT 1')).toBe('1\n');
  });

  it('refuses a port that is taken, and says what to do', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const server = startMain('--data-dir', join(directory.path, 'port'), '--port', String(port));
    expect(await server.waitForExit()).toBe(1);
    expect(server.stderr()).toMatch(
      new RegExp(
        `port ${port} on 127\\.0\\.0\\.1 is in use by another program: stop it, or give another`,
      ),
    );
    expect(server.stderr()).not.toMatch(/\n\s+at /);
    other.close();
  });

  it('refuses wrong options, all at once, without telling a password', () => {
    expect(() => readOptions(['--port', '99999'], {})).toThrow(
      /--data-dir DIR is missing; --port 99999 is not a port.*; SIGNALBOX_CLICKHOUSE_READER_PASSWORD is missing.*WRITER_PASSWORD/,
    );
  });

  it('passes on why it could not start', async () => {
    await using first = await startTestClickHouse();
    const start = startEmbeddedClickHouse({
      dataDir: first.dataDir,
      host: '127.0.0.1',
      port: 0,
      readerPassword: 'r',
      writerPassword: 'w',
      log: () => undefined,
    });
    await expect(start).rejects.toThrow(/exit code 1.*is in use by another embedded ClickHouse/);
  });
});

describe('data', () => {
  it('that was acknowledged survives kill -9 in the middle of inserts', async () => {
    const dataDir = join(directory.path, 'durable');
    let acknowledged = 0;
    for (let round = 0; round < 3; round += 1) {
      const clickhouse = await startTestClickHouse({ dataDir });
      await must(clickhouse, 'CREATE DATABASE IF NOT EXISTS otel');
      await must(
        clickhouse,
        'CREATE TABLE IF NOT EXISTS otel.t (a UInt64) ENGINE = MergeTree ORDER BY a',
      );
      const count = Number(await must(clickhouse, 'SELECT uniqExact(a) FROM otel.t'));
      expect(count).toBeGreaterThanOrEqual(acknowledged);
      acknowledged = count;
      const goal = acknowledged + 20;
      let next = acknowledged * 1_000;
      const lanes = Array.from({ length: 4 }, async () => {
        while (acknowledged < goal + 100) {
          next += 1;
          await must(clickhouse, `INSERT INTO otel.t FORMAT JSONEachRow {"a":${next}}`);
          acknowledged += 1;
        }
      });
      const lost = Promise.allSettled(lanes);
      await waitFor(() => acknowledged >= goal);
      process.kill(clickhouse.pid, 'SIGKILL');
      await lost;
    }
    await using clickhouse = await startTestClickHouse({ dataDir });
    const rows = Number(await must(clickhouse, 'SELECT uniqExact(a) FROM otel.t'));
    expect(rows).toBeGreaterThanOrEqual(acknowledged);
    expect(readdirSync(join(dataDir, 'incoming'))).toEqual([]);
    await clickhouse.stop();
  });
});

/** A file system of 64 MB, where this user may mount one. */
function mountSmall(path: string): boolean {
  try {
    mkdirSync(path);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a full disk', () => {
  const canMount = process.getuid?.() === 0;

  it.skipIf(skipWhen(!canMount, 'a full disk needs the right to mount a small file system'))(
    'gives an exception, loses nothing that was there, and is survived',
    async (context) => {
      const dataDir = join(directory.path, 'small');
      if (!mountSmall(dataDir)) return context.skip('mount is not permitted here');
      const clickhouse: TestClickHouse = await startTestClickHouse({ dataDir });
      try {
        await must(clickhouse, 'CREATE DATABASE otel');
        await must(
          clickhouse,
          'CREATE TABLE otel.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a',
        );
        await must(clickhouse, "INSERT INTO otel.t VALUES (1, 'kept')");
        const large = Buffer.alloc(90 * 1_048_576, '2\tsome text that fills the disk\n');
        const tooLarge = await ask(clickhouse, large, {
          query: { query: 'INSERT INTO otel.t FORMAT TSV' },
        });
        expect([tooLarge.status, tooLarge.headers['x-clickhouse-exception-code']]).toEqual([
          500,
          '243',
        ]);
        const filling = await ask(
          clickhouse,
          'INSERT INTO otel.t SELECT number, randomPrintableASCII(1000) FROM numbers(100000)',
        );
        expect(filling.status).toBe(500);
        expect(filling.headers['x-clickhouse-exception-code']).toBeDefined();
        expect(await must(clickhouse, 'SELECT s FROM otel.t WHERE a = 1')).toBe('kept\n');
        expect(readdirSync(join(dataDir, 'incoming'))).toEqual([]);
        await waitFor(
          async () =>
            (await ask(clickhouse, "INSERT INTO otel.t VALUES (3, 'later')")).status === 200,
        );
        expect(
          await must(clickhouse, "SELECT count() FROM otel.t WHERE s IN ('kept', 'later')"),
        ).toBe('2\n');
      } finally {
        await clickhouse.stop();
        execFileSync('umount', ['-l', dataDir]);
      }
    },
  );
});
