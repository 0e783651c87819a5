/** Another decoder of OTLP's protobuf, by protobufjs, whose result is OTLP's JSON form. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { OtlpSignal } from '../../../../collector/service.ts';

const root = protobuf.loadSync(
  fileURLToPath(new URL('../../../fixtures/otlp/otlp.proto', import.meta.url)),
);
const TYPES = { traces: 'TracesRequest', metrics: 'MetricsRequest', logs: 'LogsRequest' } as const;
const IDS = new Set(['traceId', 'spanId', 'parentSpanId']);

/** Decodes and writes as JSON text. */
export function decodeToJson(signal: OtlpSignal, body: Uint8Array): string {
  const type = root.lookupType(`otlp.${TYPES[signal]}`);
  const object = type.toObject(type.decode(body), { longs: String, bytes: String });
  return JSON.stringify(object, (key, value: unknown) => {
    if (IDS.has(key)) return Buffer.from(String(value), 'base64').toString('hex');
    // JSON has no NaN and no infinities: OTLP writes them as text.
    return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
  });
}

/** Encodes a request given in OTLP's JSON form. */
export function encodeRequest(signal: OtlpSignal, request: object): Uint8Array {
  const type = root.lookupType(`otlp.${TYPES[signal]}`);
  const object = JSON.parse(JSON.stringify(request), (key, value: unknown) =>
    IDS.has(key) ? Buffer.from(String(value), 'hex').toString('base64') : value,
  );
  return type.encode(type.fromObject(object)).finish();
}

/** Decodes an answer. */
export function decodeAnswer(
  type: 'ExportResponse' | 'RpcStatus',
  body: Uint8Array,
): Record<string, unknown> {
  const message = root.lookupType(`otlp.${type}`);
  return message.toObject(message.decode(body), { longs: Number });
}
