import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { skipWhen } from '../../support/skip-when.ts';
import { must } from './ask.ts';

const VERSION = '1.12.0';
/** Kept between runs, since installing takes longer than the test. */
const ENVIRONMENT = join(tmpdir(), `signalbox-clickhouse-connect-${VERSION}`);
const PYTHON = join(ENVIRONMENT, 'bin', 'python');
const COMPRESSIONS = ['none', 'lz4', 'zstd', 'gzip', 'br'];

/** Makes the Python environment; tells why it cannot be made here, or nothing. */
function whyNot(): string | undefined {
  const options = { stdio: 'pipe', timeout: 240_000 } as const;
  try {
    if (!existsSync(PYTHON)) execFileSync('python3', ['-m', 'venv', ENVIRONMENT], options);
    execFileSync(
      PYTHON,
      ['-m', 'pip', 'install', '--quiet', `clickhouse-connect==${VERSION}`, 'brotli'],
      options,
    );
    return undefined;
  } catch (error) {
    return `clickhouse-connect needs Python 3 and its packages: ${String(error).slice(0, 300)}`;
  }
}

const reason = whyNot();

describe.skipIf(skipWhen(reason !== undefined, reason ?? ''))('clickhouse-connect', () => {
  let clickhouse: TestClickHouse;
  let outcomes: Record<string, unknown>[] = [];

  beforeAll(async () => {
    clickhouse = await startTestClickHouse();
    await must(clickhouse, 'CREATE DATABASE otel');
    const script = join(import.meta.dirname, 'python_client.py');
    const { stdout } = await promisify(execFile)(PYTHON, [script, ...COMPRESSIONS], {
      env: {
        ...process.env,
        CLICKHOUSE_HOST: clickhouse.host,
        CLICKHOUSE_PORT: String(clickhouse.port),
        WRITER_PASSWORD: clickhouse.writer.password,
        READER_PASSWORD: clickhouse.reader.password,
      },
    });
    outcomes = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  });

  afterAll(() => clickhouse?.stop());

  it.each(COMPRESSIONS)(
    'writes, reads, streams and keeps a session with compression %s',
    (compression) => {
      const name = compression === 'none' ? 'False' : compression;
      const outcome = outcomes.find((each) => each.compression === name);
      expect(outcome).toMatchObject({
        count: 20_000,
        total: 199_990_000,
        row: ['n1', '2026-01-02 03:04:05.678901', { key: '4321' }, 2160.5],
        streamed: 20_000,
        raw: '{"a":1}\n',
        kept: 2,
        tables: 1,
      });
      expect(outcome?.unknown).toContain('Code: 47');
      expect(outcome?.denied).toContain('Code: 497');
      expect(outcome?.limited).toContain('Code: 396');
      expect(outcome?.wrong).toContain('Code: 516');
    },
  );
});
