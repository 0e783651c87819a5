import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOtlpReader } from '../../../../collector/receive/otlp/read.ts';
import type { OtlpSignal } from '../../../../collector/service.ts';
import { SignalboxError } from '../../../../domain/errors.ts';
import { allRequests } from '../../recordings.ts';
import { readNative } from './native-reader.ts';
import { decodeToJson, encodeRequest } from './protobuf-reference.ts';

const requests = allRequests();
const NOW = Date.UTC(2026, 10, 24);
const nowhere = { point: () => undefined };
const readOtlp = createOtlpReader();

const value = fc.oneof(
  fc.string({ unit: 'binary' }).map((stringValue) => ({ stringValue: stringValue.toWellFormed() })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((int) => ({ intValue: String(int) })),
  fc.double({ noNaN: true }).map((doubleValue) => ({ doubleValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  fc.constant({}),
);
const attributes = fc.array(
  fc
    .constantFrom('a', 'aa', 'b', 'é', 'z.long.name', 'z.long.name.2', 'service.name')
    .chain((key) => value.map((each) => ({ key, value: each }))),
  { maxLength: 8 },
);
const id = (bytes: number) =>
  fc.constantFrom('', '00'.repeat(bytes), 'ab'.repeat(bytes), 'cdef'.repeat(bytes / 2), 'abcd');
const time = fc.constantFrom(
  '0',
  '1',
  '1795457942634832125',
  '1795457942999999999',
  '18446744073709551615',
);
const later = fc.constantFrom('1795457942634832124', '1795457950000000000');
const arbitrarySpan = fc.record({
  traceId: id(16),
  spanId: id(8),
  parentSpanId: id(8),
  traceState: fc.string(),
  name: fc.string(),
  kind: fc.integer({ min: 0, max: 9 }),
  startTimeUnixNano: fc.oneof({ weight: 5, arbitrary: later }, { weight: 1, arbitrary: time }),
  endTimeUnixNano: fc.oneof({ weight: 5, arbitrary: later }, { weight: 1, arbitrary: time }),
  attributes,
  status: fc.record({ code: fc.integer({ min: 0, max: 4 }), message: fc.string() }),
  events: fc.array(fc.record({ timeUnixNano: time, name: fc.string(), attributes }), {
    maxLength: 2,
  }),
  links: fc.array(
    fc.record({ traceId: id(16), spanId: id(8), traceState: fc.string(), attributes }),
    { maxLength: 2 },
  ),
});

/** What was read, in one form whichever format it was written in. */
function rowsOf(signal: OtlpSignal, encoding: 'protobuf' | 'json', body: Uint8Array) {
  const { tables, refusals } = readOtlp(signal, encoding, body, NOW, nowhere);
  const rows = tables.map(({ table, format, rows: { body: bytes, count } }) => {
    const read = format === 'Native' ? readNative(bytes) : readLines(bytes.toString());
    expect(read).toHaveLength(count);
    return [table, read.map(normal)] as const;
  });
  return { rows, rejected: refusals.count };
}

/** Lines of JSON; long integers stay exact, and what ClickHouse calls nan and inf become text. */
function readLines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map(
      (line) =>
        JSON.parse(line.replace(/([:[,])(nan|-?inf|\d{16,})\b/g, '$1"$2"')) as Record<
          string,
          unknown
        >,
    );
}

/** Maps as pairs in their order, integers as text; what a row leaves out is empty. */
function normal(row: Record<string, unknown>): Record<string, unknown> {
  const text = JSON.stringify(row, (_key, value: unknown) => {
    if (typeof value === 'bigint' || typeof value === 'number') return String(value);
    const isMap =
      value !== null && typeof value === 'object' && !Array.isArray(value) && value !== row;
    return isMap ? Object.entries(value) : value;
  });
  const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
  return Object.fromEntries(
    entries.filter(([, value]) => !Array.isArray(value) || value.length > 0),
  );
}

describe('reading OTLP', () => {
  const protobuf = requests.filter((request) => request.contentType.includes('protobuf'));

  it.each(protobuf)(
    '$name: the same rows come out of the bytes and of what protobufjs decodes',
    ({ signal, plain }) => {
      const own = rowsOf(signal, 'protobuf', plain);
      const other = rowsOf(signal, 'json', Buffer.from(decodeToJson(signal, plain)));
      expect(own.rows.length).toBeGreaterThan(0);
      expect(own).toEqual(other);
    },
  );

  it('gives the same rows for every kind of value in both encodings', () => {
    const values = [
      { stringValue: 'é \u2028 <&> "q" \\' },
      { boolValue: false },
      { intValue: '9223372036854775807' },
      { intValue: '-9223372036854775808' },
      { intValue: '42' },
      { doubleValue: 0.1 },
      { doubleValue: 'NaN' },
      { bytesValue: Buffer.from([0, 255, 7]).toString('base64') },
      { arrayValue: { values: [{ intValue: '1' }, { stringValue: '<a>' }, {}] } },
      { kvlistValue: { values: [pair('z', { boolValue: true }), pair('a', { doubleValue: 2 })] } },
      {},
    ];
    const body = encodeRequest('logs', {
      resourceLogs: [
        {
          scopeLogs: [
            {
              logRecords: values.map((value) => ({
                timeUnixNano: '1795457942634832125',
                body: value,
              })),
            },
          ],
        },
      ],
    });
    const own = rowsOf('logs', 'protobuf', body);
    expect(own).toEqual(rowsOf('logs', 'json', Buffer.from(decodeToJson('logs', body))));
    const texts = own.rows[0]?.[1].map((row) => row['Body']);
    expect(texts?.slice(1)).toEqual([
      'false',
      '9223372036854775807',
      '-9223372036854775808',
      '42',
      '0.1',
      'json: unsupported value: NaN',
      'AP8H',
      '[1,"\\u003ca\\u003e",null]',
      '{"a":2,"z":true}',
      '',
    ]);
  });

  it('keeps every digit of integers that JSON senders write as numbers', () => {
    const value = '{"intValue":9007199254740993}';
    const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1795457942634832125,"body":${value}}]}]}]}`;
    const { rows } = rowsOf('logs', 'json', Buffer.from(text));
    expect(rows[0]?.[1]).toMatchObject([
      { Timestamp: '1795457942634832125', Body: '9007199254740993' },
    ]);
  });

  it('writes attributes in the order of their keys, the last one where a key comes twice', () => {
    const attributes = [
      pair('b', { intValue: 1 }),
      pair('a', { intValue: 2 }),
      pair('b', { intValue: 3 }),
    ];
    const span = {
      startTimeUnixNano: '1795457942634832125',
      endTimeUnixNano: '1795457942634832126',
      attributes,
    };
    const body = encodeRequest('traces', { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
    const [spans] = rowsOf('traces', 'protobuf', body).rows;
    expect(spans?.[1][0]?.['SpanAttributes']).toEqual([
      ['a', '2'],
      ['b', '3'],
    ]);
  });

  it('gives the same rows for arbitrary spans in both encodings', () => {
    fc.assert(
      fc.property(fc.array(arbitrarySpan, { maxLength: 4 }), attributes, (spans, resource) => {
        const body = encodeRequest('traces', {
          resourceSpans: [{ resource: { attributes: resource }, scopeSpans: [{ spans }] }],
        });
        const json = Buffer.from(decodeToJson('traces', body));
        expect(rowsOf('traces', 'protobuf', body)).toEqual(rowsOf('traces', 'json', json));
      }),
      { numRuns: 300 },
    );
  });

  it('never fails but as malformed, whatever becomes of the bytes on their way', () => {
    const mutation = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    const cut = fc.option(fc.nat(), { nil: undefined });
    fc.assert(
      fc.property(fc.constantFrom(...requests), mutation, cut, (request, changes, length) => {
        const { signal, contentType, plain } = request;
        const encoding = contentType.includes('protobuf') ? 'protobuf' : 'json';
        const body = Buffer.from(plain);
        for (const [at, byte] of changes) body[at % body.length] = byte;
        const sent = length === undefined ? body : body.subarray(0, length % (body.length + 1));
        expect(['ok', 'malformed-protobuf', 'malformed-json', 'invalid-request']).toContain(
          outcomeOf(signal, encoding, sent),
        );
      }),
      { numRuns: 3_000 },
    );
  });

  it('never fails but as malformed on arbitrary bytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('traces', 'metrics', 'logs'),
        fc.uint8Array({ maxLength: 200 }),
        (signal, bytes) => {
          expect(['ok', 'malformed-protobuf']).toContain(outcomeOf(signal, 'protobuf', bytes));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('refuses values nested without end instead of failing on them', () => {
    let value = Buffer.alloc(0);
    for (let depth = 0; depth < 5_000; depth += 1) {
      const list = Buffer.concat([Buffer.from([0x0a]), varint(value.length), value]);
      value = Buffer.concat([Buffer.from([0x2a]), varint(list.length), list]);
    }
    const wrap = (field: number, inner: Buffer) =>
      Buffer.concat([Buffer.from([(field << 3) | 2]), varint(inner.length), inner]);
    const body = wrap(1, wrap(2, wrap(2, wrap(5, value))));
    expect(outcomeOf('logs', 'protobuf', body)).toBe('malformed-protobuf');
    const open = '{"arrayValue":{"values":['.repeat(5_000);
    const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1795457942634832125,"body":${open}${']}}'.repeat(5_000)}}]}]}]}`;
    expect(outcomeOf('logs', 'json', Buffer.from(text))).toBe('invalid-request');
  });
});

function outcomeOf(signal: OtlpSignal, encoding: 'protobuf' | 'json', body: Uint8Array): string {
  try {
    rowsOf(signal, encoding, body);
    return 'ok';
  } catch (error) {
    return error instanceof SignalboxError ? error.code : String(error);
  }
}

function pair(key: string, value: Record<string, unknown>) {
  return { key, value };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
