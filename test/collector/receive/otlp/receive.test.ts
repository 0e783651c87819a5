import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOtlpReceiver } from '../../../../collector/receive/otlp/receive.ts';
import type { OtlpSignal } from '../../../../collector/service.ts';
import type { PoolSample } from '../../../../domain/events.ts';
import { systemClock } from '../../../../domain/time.ts';
import { startTestClickHouse, type TestClickHouse } from '../../../support/clickhouse.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { allRequests, collectorRequests, exporterRows } from '../../recordings.ts';
import { type StartedCollector, startCollector } from '../../start.ts';
import { decodeAnswer, encodeRequest } from './protobuf-reference.ts';

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
let clickhouse: TestClickHouse;
let started: StartedCollector;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  started = await startCollector(clickhouse.url);
});
afterAll(async () => {
  await started[Symbol.asyncDispose]();
  await clickhouse.stop();
});

function send(
  signal: OtlpSignal,
  body: Uint8Array | object,
  contentType = PROTOBUF,
  contentEncoding: string | null = null,
) {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  return started.collector.receiveOtlp(signal, { contentType, contentEncoding, body: bytes });
}

async function ask(sql: string, parameters: Record<string, unknown> = {}) {
  return started.collector.query({ sql, parameters });
}

describe('what the real Collector sent to its ClickHouse exporter', () => {
  it('becomes the very rows that the exporter wrote, the order of map keys included', async () => {
    const answers = await Promise.all(
      collectorRequests().map(({ signal, ...request }) =>
        started.collector.receiveOtlp(signal, request),
      ),
    );
    expect(answers.map(({ status, body }) => [status, body.length < 3])).toEqual(
      answers.map(() => [200, true]),
    );
    for (const [table, expected] of exporterRows()) {
      const rows = await ask(`SELECT * FROM otel.${table}`);
      const texts = new Set(rows.map((row) => JSON.stringify(row)));
      expect(expected.length).toBeGreaterThan(0);
      for (const row of expected) expect(texts).toContain(JSON.stringify(row));
    }
  });

  it('is taken from every recorded sender, and queryable once it was answered', async () => {
    const tables = [
      'traces',
      'logs',
      ...['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary'].map(
        (kind) => `metrics_${kind}`,
      ),
    ];
    const counts = tables.map((table) => `(SELECT count() FROM otel.otel_${table})`).join(' + ');
    const count = async () => Number((await ask(`SELECT ${counts} AS n`))[0]?.['n']);
    const before = await count();
    const requests = allRequests();
    const answers = await Promise.all(
      requests.map(({ signal, ...request }) => started.collector.receiveOtlp(signal, request)),
    );
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    expect(await count()).toBeGreaterThan(before + requests.length);
  });

  it('has the run, task and workflow of a span in columns of their own', async () => {
    const attributes = [
      ['cicd.pipeline.run.id', 'run-77'],
      ['cicd.pipeline.task.name', 'load'],
      ['cicd.pipeline.name', 'orders'],
    ].map(([key, value]) => ({ key, value: { stringValue: value } }));
    await send('traces', encodeRequest('traces', spans([span({ attributes })])));
    const rows = await ask(
      'SELECT TaskKey, Workflow FROM otel.otel_traces WHERE RunId = {run:String}',
      { run: 'run-77' },
    );
    expect(rows).toEqual([{ TaskKey: 'load', Workflow: 'orders' }]);
  });
});

describe('partial success', () => {
  it('keeps the valid spans and tells how many others had impossible times or ids, in both encodings', async () => {
    const traceId = 'aa'.repeat(16);
    const all = [
      span({ traceId, name: 'kept' }),
      span({ traceId, startTimeUnixNano: '1' }),
      span({ traceId, endTimeUnixNano: String(BigInt(Date.UTC(2300, 0)) * 1_000_000n) }),
      span({ traceId: 'abcd' }),
    ];
    const json = await send('traces', spans(all), JSON_TYPE);
    expect([json.status, json.contentType]).toEqual([200, JSON_TYPE]);
    const { partialSuccess } = JSON.parse(Buffer.from(json.body).toString());
    expect(partialSuccess.rejectedSpans).toBe('3');
    expect(partialSuccess.errorMessage).toMatch(/time.*1971.*trace id/);
    const protobuf = await send('traces', encodeRequest('traces', spans(all)));
    expect([protobuf.status, protobuf.contentType]).toEqual([200, PROTOBUF]);
    expect(decodeAnswer('ExportResponse', protobuf.body)).toEqual({
      partialSuccess: { rejected: 3, errorMessage: partialSuccess.errorMessage },
    });
    const kept = await ask('SELECT SpanName FROM otel.otel_traces WHERE TraceId = {id:String}', {
      id: traceId,
    });
    expect(kept).toEqual([{ SpanName: 'kept' }, { SpanName: 'kept' }]);
  });

  it('does the same for data points and log records', async () => {
    const bad = { timeUnixNano: '5', asInt: '1' };
    const good = { timeUnixNano: '1795457942634832125', asInt: '1' };
    const metrics = await send(
      'metrics',
      {
        resourceMetrics: [
          { scopeMetrics: [{ metrics: [{ name: 'm', gauge: { dataPoints: [bad, good] } }] }] },
        ],
      },
      JSON_TYPE,
    );
    expect(JSON.parse(Buffer.from(metrics.body).toString()).partialSuccess.rejectedDataPoints).toBe(
      '1',
    );
    const logs = await send(
      'logs',
      { resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: '5' }, {}] }] }] },
      JSON_TYPE,
    );
    expect(JSON.parse(Buffer.from(logs.body).toString()).partialSuccess.rejectedLogRecords).toBe(
      '1',
    );
  });
});

describe('what cannot be taken', () => {
  const body = encodeRequest('traces', spans([span({})]));

  it('is answered 400 with google.rpc.Status in the encoding of the request', async () => {
    const cut = await send('traces', body.subarray(0, body.length - 3));
    expect([cut.status, cut.contentType]).toEqual([400, PROTOBUF]);
    expect(decodeAnswer('RpcStatus', cut.body)).toEqual({
      code: 3,
      message: expect.stringContaining('protobuf'),
    });
    const text = await send('traces', Buffer.from('{"resourceSpans": ['), JSON_TYPE);
    expect([text.status, text.contentType]).toEqual([400, JSON_TYPE]);
    expect(JSON.parse(Buffer.from(text.body).toString())).toMatchObject({
      code: 3,
      message: expect.any(String),
    });
    const form = await send('traces', { resourceSpans: 7 }, JSON_TYPE);
    expect(form.status).toBe(400);
    const gzip = await send('traces', gzipSync(body).subarray(0, 20), PROTOBUF, 'gzip');
    expect(gzip.status).toBe(400);
  });

  it('is answered 415 for other content types and encodings', async () => {
    expect((await send('traces', body, 'text/plain')).status).toBe(415);
    expect((await send('traces', body, PROTOBUF, 'br')).status).toBe(415);
    expect(
      (await send('traces', gzipSync(body), `${PROTOBUF}; charset=utf-8`, 'GZIP')).status,
    ).toBe(200);
  });

  it('is answered 413 as soon as a small body turns out to stand for a huge one', async () => {
    const huge = Buffer.alloc(50 * 1024 * 1024);
    const bombs = {
      gzip: gzipSync(huge),
      deflate: deflateSync(huge),
      zstd: zstdCompressSync(huge),
    };
    const before = process.memoryUsage().rss;
    for (const [encoding, bomb] of Object.entries(bombs)) {
      expect(bomb.length).toBeLessThan(150_000);
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => send('traces', bomb, PROTOBUF, encoding)),
      );
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([413]));
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
    expect((await send('traces', Buffer.alloc(21 * 1024 * 1024))).status).toBe(413);
  });

  it('is answered 429 with Retry-After where more comes at once than may be held', async () => {
    const release: (() => void)[] = [];
    const receive = createOtlpReceiver({
      writer: { insert: () => new Promise<void>((resolve) => release.push(resolve)) },
      clock: systemClock,
      log: () => undefined,
      recordPools: async () => undefined,
      maxInFlightBytes: body.length * 3,
    });
    const request = { contentType: PROTOBUF, contentEncoding: null, body };
    const held = Array.from({ length: 3 }, () => receive('traces', request));
    await waitFor(() => release.length === 3);
    expect(await receive('traces', request)).toMatchObject({ status: 429, retryAfterSeconds: 1 });
    for (const resolve of release) resolve();
    expect((await Promise.all(held)).map((answer) => answer.status)).toEqual([200, 200, 200]);
    const next = receive('traces', request);
    await waitFor(() => release.length === 4);
    release.at(-1)?.();
    expect((await next).status).toBe(200);
  });
});

describe('pools out of metrics', () => {
  it('are one for each pool name and service, replicas summed, beside the metrics themselves', async () => {
    const now = Date.now();
    await send(
      'metrics',
      poolMetrics('orders-api', 'a', now, { used: 3, idle: 1, max: 10, pending: 2 }),
      JSON_TYPE,
    );
    await send(
      'metrics',
      poolMetrics('orders-api', 'b', now + 10, { used: 4, idle: 0, max: 10, pending: 0 }),
      JSON_TYPE,
    );
    await send(
      'metrics',
      poolMetrics('billing', 'c', now, { used: 1, idle: 1, max: 5, pending: 0 }),
      JSON_TYPE,
    );
    const pools = await waitFor(async () => {
      const seen = (await started.collector.observedPools()).filter((pool) => pool.name === 'main');
      return seen.some((pool) => pool.used === 7) && seen.length === 2 ? seen : undefined;
    });
    expect(pools.map(({ at: _, ...pool }) => pool)).toEqual([
      { name: 'main', instance: 'billing', kind: 'otel', used: 1, idle: 1, waiting: 0, max: 5 },
      { name: 'main', instance: 'orders-api', kind: 'otel', used: 7, idle: 1, waiting: 2, max: 20 },
    ]);
    const points = await ask(
      "SELECT count() AS n FROM otel.otel_metrics_sum WHERE MetricName = 'db.client.connection.count'",
    );
    expect(points).toEqual([{ n: 6 }]);
  });

  it('remember what a request leaves out, add deltas of timeouts, and forget replicas that fell silent', async () => {
    const samples: PoolSample[] = [];
    const receive = createOtlpReceiver({
      writer: { insert: async () => undefined },
      clock: systemClock,
      log: () => undefined,
      async recordPools(all) {
        samples.push(...all);
      },
    });
    const at = Date.UTC(2026, 10, 24);
    const give = (body: object) =>
      receive('metrics', {
        contentType: JSON_TYPE,
        contentEncoding: null,
        body: Buffer.from(JSON.stringify(body)),
      });
    await give(poolMetrics('api', 'a', at, { used: 3, idle: 1, max: 10, pending: 0 }));
    await give(poolMetrics('api', 'a', at + 1_000, { timeouts: 2 }));
    await give(poolMetrics('api', 'a', at + 2_000, { timeouts: 1, used: 5 }));
    await give(poolMetrics('api', 'b', at + 600_000, { used: 1, max: 10 }));
    expect(samples.map(({ used, max, timeouts }) => ({ used, max, timeouts }))).toEqual([
      { used: 3, max: 10, timeouts: 0 },
      { used: 3, max: 10, timeouts: 2 },
      { used: 5, max: 10, timeouts: 3 },
      { used: 1, max: 10, timeouts: 0 },
    ]);
  });

  it('are also read by the names of older conventions', async () => {
    const samples: PoolSample[] = [];
    const receive = createOtlpReceiver({
      writer: { insert: async () => undefined },
      clock: systemClock,
      log: () => undefined,
      async recordPools(all) {
        samples.push(...all);
      },
    });
    const text = JSON.stringify(
      poolMetrics('api', 'a', Date.UTC(2026, 10, 24), { used: 3, idle: 1, max: 10 }),
    )
      .replaceAll('db.client.connection.pool.name', 'pool.name')
      .replaceAll('db.client.connection.state', 'state')
      .replaceAll('db.client.connection.count', 'db.client.connections.usage')
      .replaceAll('db.client.connection.', 'db.client.connections.');
    await receive('metrics', {
      contentType: JSON_TYPE,
      contentEncoding: null,
      body: Buffer.from(text),
    });
    expect(samples).toMatchObject([{ pool: 'main', instance: 'api', used: 3, idle: 1, max: 10 }]);
  });
});

function span(fields: Record<string, unknown>) {
  return {
    traceId: 'ab'.repeat(16),
    spanId: 'cd'.repeat(8),
    name: 'span',
    startTimeUnixNano: '1795457942634832125',
    endTimeUnixNano: '1795457942634832225',
    ...fields,
  };
}

function spans(all: readonly object[]) {
  return { resourceSpans: [{ scopeSpans: [{ spans: all }] }] };
}

function poolMetrics(
  service: string,
  replica: string,
  atMs: number,
  levels: { used?: number; idle?: number; max?: number; pending?: number; timeouts?: number },
) {
  const point = (value: number | undefined, state?: string) =>
    value === undefined
      ? []
      : [
          {
            timeUnixNano: String(BigInt(atMs) * 1_000_000n),
            asInt: String(value),
            attributes: [
              { key: 'db.client.connection.pool.name', value: { stringValue: 'main' } },
              ...(state
                ? [{ key: 'db.client.connection.state', value: { stringValue: state } }]
                : []),
            ],
          },
        ];
  const metric = (name: string, dataPoints: object[], aggregationTemporality = 2) => ({
    name: `db.client.connection.${name}`,
    sum: { aggregationTemporality, dataPoints },
  });
  const attributes = [
    { key: 'service.name', value: { stringValue: service } },
    { key: 'service.instance.id', value: { stringValue: replica } },
  ];
  const metrics = [
    metric('count', [...point(levels.used, 'used'), ...point(levels.idle, 'idle')]),
    metric('max', point(levels.max)),
    metric('pending_requests', point(levels.pending)),
    metric('timeouts', point(levels.timeouts), 1),
  ];
  return { resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ metrics }] }] };
}
