import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { skipWhen } from '../../support/skip-when.ts';
import { must } from './ask.ts';

const CLIENT = join(import.meta.dirname, 'go-client');

/** Why the Go client cannot run here, or nothing. */
function whyNot(): string | undefined {
  try {
    execFileSync('go', ['build', '-o', '/dev/null', '.'], {
      cwd: CLIENT,
      stdio: 'pipe',
      timeout: 240_000,
    });
    return undefined;
  } catch (error) {
    return `clickhouse-go needs Go and its modules: ${String(error).slice(0, 300)}`;
  }
}

const reason = whyNot();

describe.skipIf(skipWhen(reason !== undefined, reason ?? ''))('clickhouse-go over HTTP', () => {
  let clickhouse: TestClickHouse;
  let outcomes: Record<string, unknown>[] = [];

  beforeAll(async () => {
    clickhouse = await startTestClickHouse();
    await must(clickhouse, 'CREATE DATABASE otel');
    const { stdout } = await promisify(execFile)('go', ['run', '.'], {
      cwd: CLIENT,
      env: {
        ...process.env,
        CLICKHOUSE_ADDRESS: `${clickhouse.host}:${clickhouse.port}`,
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

  it.each(['none', 'lz4', 'zstd', 'gzip', 'deflate', 'br'])(
    'writes and reads every type, and understands refusals, with compression %s',
    (compression) => {
      const outcome = outcomes.find((each) => each.compression === compression);
      expect(outcome).toMatchObject({
        display: 'signalbox',
        written: 20_000,
        read: 20_000,
        sum: 199_990_000,
        name: 'n1',
        time: '2026-01-02T03:04:05.678901234Z',
        tags: { key: '4321' },
        maybe: 2160.5,
        parameter: "it's",
        errorCode: 47,
        denied: 497,
      });
      expect(outcome?.wrongUser).toMatch(/516.*Authentication failed/);
    },
  );
});
