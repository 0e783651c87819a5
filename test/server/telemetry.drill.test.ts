import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');

interface Span {
  readonly ServiceName: string;
  readonly SpanName: string;
  readonly SpanId: string;
  readonly ParentSpanId: string;
}

it('one trace leads from the caller over the API and PostgreSQL to the task on the agent', async () => {
  await using temp = await makeTempDir('telemetry');
  const workflows = join(temp.path, 'workflows');
  await mkdir(workflows);
  const ports = ['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'];
  await using up = startProcess(
    process.execPath,
    [
      MAIN,
      'up',
      '--json',
      '--data-dir',
      join(temp.path, 'data'),
      '--workflows',
      workflows,
      ...ports,
    ],
    { cwd: temp.path, env: { NODE_ENV: undefined, VITEST: undefined } },
  );
  const ready = JSON.parse(await up.waitForLine(/^\{"url"/, 60_000)) as {
    url: string;
    token: string;
  };
  const headers = {
    authorization: `Bearer ${ready.token}`,
    'content-type': 'application/json',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  };
  const post = async (path: string, body: object) => {
    const response = await fetch(`${ready.url}/api/v1${path}`, {
      method: 'POST',
      headers: { ...headers },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  const run = await post('/workflows/fan-out/runs', {});
  expect(run['traceId']).toBe('0af7651916cd43dd8448eb211c80319c');

  const sql = `SELECT ServiceName, SpanName, SpanId, ParentSpanId FROM otel.otel_traces
               WHERE TraceId = '0af7651916cd43dd8448eb211c80319c'`;
  const spans = await waitFor(
    async () => {
      const { rows } = (await post('/query', { sql })) as unknown as { rows: Span[] };
      return rows.some(({ ServiceName }) => ServiceName === 'signalbox-agent') ? rows : undefined;
    },
    { timeoutMs: 30_000, intervalMs: 500, what: 'the span of the task' },
  );
  const byName = (part: string) => spans.find(({ SpanName }) => SpanName.includes(part));
  const call = byName('POST /api/v1/workflows/:name/runs');
  expect(call).toMatchObject({ ServiceName: 'signalbox-server', ParentSpanId: 'b7ad6b7169203331' });
  expect(byName('pg.query')?.ServiceName).toBe('signalbox-server');
  expect(byName('fan-out')).toMatchObject({
    ServiceName: 'signalbox-agent',
    ParentSpanId: call?.SpanId,
  });
  // Sending telemetry is not telemetry: nothing tells of the receiver.
  expect(spans.filter(({ SpanName }) => SpanName.includes('/v1/traces'))).toEqual([]);
});
