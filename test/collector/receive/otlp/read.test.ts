import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOtlp } from '../../../../collector/receive/otlp/read.ts';
import type { OtlpSignal } from '../../../../collector/service.ts';
import { SignalboxError } from '../../../../domain/errors.ts';
import { allRequests } from '../../recordings.ts';
import { decodeToJson, encodeRequest } from './protobuf-reference.ts';

const requests = allRequests();
const NOW = Date.UTC(2026, 10, 24);
const nowhere = { point: () => undefined };

function rowsOf(signal: OtlpSignal, encoding: 'protobuf' | 'json', body: Uint8Array) {
  const { tables, refusals } = readOtlp(signal, encoding, body, NOW, nowhere);
  const rows = tables.map(({ table, rows }) => [table, rows.body.toString()] as const);
  return { rows, rejected: refusals.count };
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
    const texts = own.rows[0]?.[1]
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).Body);
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
    expect(rows[0]?.[1]).toContain('"Timestamp":1795457942634832125');
    expect(rows[0]?.[1]).toContain('"Body":"9007199254740993"');
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
    expect(rowsOf('traces', 'protobuf', body).rows[0]?.[1]).toContain(
      '"SpanAttributes":{"a":"2","b":"3"}',
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
    const { rows } = rowsOf(signal, encoding, body);
    // What was read must be JSON that ClickHouse can read.
    for (const [, text] of rows) {
      for (const line of text.trim().split('\n')) JSON.parse(line.replace(/:(nan|-?inf)\b/g, ':0'));
    }
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
