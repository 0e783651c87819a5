/**
 * How fast OTLP is taken in: decoding alone, and from the request to rows that can be queried in an embedded
 * ClickHouse of its own. Prints figures; judges nothing.
 */
import { gzipSync } from 'node:zlib';
import { createCollector } from '../collector/create.ts';
import { createOtlpReader } from '../collector/receive/otlp/read.ts';
import type { Collector } from '../collector/service.ts';
import { systemClock } from '../domain/time.ts';
import { encodeRequest } from '../test/collector/receive/otlp/protobuf-reference.ts';
import { type ClickHouse, makeFolder, startClickHouse } from './processes.ts';
import { count, type Report } from './report.ts';

const SPANS_PER_REQUEST = 1_000;
const SENDERS = 16;
const DECODE_MS = 2_000;
const INSERT_MS = 6_000;

/** Runs it and prints spans per second. */
export async function benchOtlp(report: Report): Promise<void> {
  const print = (what: string, rate: number) =>
    report.figure(what, `${count(rate)} spans/s`, { spansPerSecond: rate });
  const bodies = {
    'small spans (2 attributes)': requestOf(2),
    'full spans (14 attributes)': requestOf(14),
  };
  for (const [name, body] of Object.entries(bodies)) {
    print(`decode alone, ${name}`, decodeRate(body));
  }
  await using clickhouse = await startClickHouse();
  const { path: spoolDir, remove } = await makeFolder();
  const collector = collectorOn(clickhouse, spoolDir);
  try {
    await collector.migrate();
    await collector.start();
    for (const [name, body] of Object.entries(bodies)) {
      print(`to queryable rows, ${name}`, await insertRate(collector, body, null));
      print(
        `to queryable rows, gzip, ${name}`,
        await insertRate(collector, gzipSync(body), 'gzip'),
      );
    }
  } finally {
    await collector.stop();
    await remove();
  }
}

function decodeRate(body: Uint8Array): number {
  const readOtlp = createOtlpReader();
  const nowhere = { point: () => undefined };
  const begin = performance.now();
  let requests = 0;
  for (; performance.now() - begin < DECODE_MS; requests += 1) {
    readOtlp('traces', 'protobuf', body, Date.now(), nowhere);
  }
  return (requests * SPANS_PER_REQUEST) / ((performance.now() - begin) / 1_000);
}

async function insertRate(
  collector: Collector,
  body: Uint8Array,
  contentEncoding: string | null,
): Promise<number> {
  const request = { contentType: 'application/x-protobuf', contentEncoding, body };
  const begin = performance.now();
  let stored = 0;
  const sender = async () => {
    while (performance.now() - begin < INSERT_MS) {
      const { status } = await collector.receiveOtlp('traces', request);
      if (status === 200) stored += SPANS_PER_REQUEST;
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
  return stored / ((performance.now() - begin) / 1_000);
}

function collectorOn({ url, reader }: ClickHouse, spoolDir: string): Collector {
  const { origin, username, password } = new URL(url);
  const [user = '', readerPassword = ''] = reader.split(':');
  return createCollector({
    clickhouse: {
      url: origin,
      reader: { user, password: readerPassword },
      writer: { user: username, password },
    },
    externalSink: { record: async () => undefined, recordDatasets: async () => undefined },
    eventSource: {
      readAfter: async () => ({ runEvents: [], assetEvents: [], watermark: '0', caughtUp: true }),
      loadWatermark: async () => '0',
      saveWatermark: async () => true,
    },
    watchedPostgres: [],
    spoolDir,
    clock: systemClock,
    log: (line) => console.error(line),
  });
}

function requestOf(attributeCount: number): Uint8Array {
  const start = BigInt(Date.now()) * 1_000_000n;
  const hex = (value: number, length: number) => value.toString(16).padStart(length, '0');
  const spans = Array.from({ length: SPANS_PER_REQUEST }, (_, n) => ({
    traceId: hex(1 + Math.floor(n / 10), 32),
    spanId: hex(1 + n, 16),
    parentSpanId: n % 10 === 0 ? '' : hex(1 + n - (n % 10), 16),
    name: `step-${n % 40}`,
    kind: 1 + (n % 5),
    startTimeUnixNano: String(start + BigInt(n * 1_000)),
    endTimeUnixNano: String(start + BigInt(n * 1_000 + 250_000)),
    attributes: Array.from({ length: attributeCount }, (_, index) => ({
      key: `attribute.number.${hex(index, 2)}`,
      value:
        index % 4 === 3 ? { intValue: n * index } : { stringValue: `value-${index}-${n % 97}` },
    })),
    status: { code: n % 50 === 0 ? 2 : 0 },
  }));
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'bench' } }] };
  return encodeRequest('traces', {
    resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'bench' }, spans }] }],
  });
}
