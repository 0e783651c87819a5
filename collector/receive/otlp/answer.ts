/**
 * OTLP's answers in the request's own encoding: an export response, whole or with what was rejected, and
 * google.rpc.Status for everything that went wrong.
 */
import { ERRORS, type SignalboxError } from '../../../domain/errors.ts';
import type { OtlpAnswer, OtlpSignal } from '../../service.ts';

export type OtlpEncoding = 'protobuf' | 'json';

const CONTENT_TYPES = { protobuf: 'application/x-protobuf', json: 'application/json' } as const;

const REJECTED_FIELDS = {
  traces: 'rejectedSpans',
  metrics: 'rejectedDataPoints',
  logs: 'rejectedLogRecords',
} as const;

const RETRY_AFTER_SECONDS: Readonly<Record<number, number>> = { 429: 1, 503: 2 };

/** Codes of google.rpc.Code by HTTP status. */
const RPC_CODES: Readonly<Record<number, number>> = {
  400: 3,
  413: 3,
  415: 3,
  429: 8,
  503: 14,
  507: 8,
};
const RPC_INTERNAL = 13;

/** Everything was kept, or all but what `rejected` counts. */
export function accepted(
  encoding: OtlpEncoding,
  signal: OtlpSignal,
  rejected: { readonly count: number; readonly message: string },
): OtlpAnswer {
  const { count, message } = rejected;
  if (encoding === 'json') {
    const body =
      count === 0
        ? {}
        : { partialSuccess: { [REJECTED_FIELDS[signal]]: String(count), errorMessage: message } };
    return answer(200, encoding, Buffer.from(JSON.stringify(body)));
  }
  if (count === 0) return answer(200, encoding, Buffer.alloc(0));
  const partial = Buffer.concat([Buffer.from([0x08]), varint(count), bytesField(2, message)]);
  return answer(200, encoding, bytesField(1, partial));
}

/** A failure as its status and google.rpc.Status. */
export function failed(encoding: OtlpEncoding, error: SignalboxError): OtlpAnswer {
  const { status, title } = ERRORS[error.code];
  const code = RPC_CODES[status] ?? RPC_INTERNAL;
  const message = error.detail === undefined ? title : `${title}: ${error.detail}`;
  const body =
    encoding === 'json'
      ? Buffer.from(JSON.stringify({ code, message }))
      : Buffer.concat([Buffer.from([0x08]), varint(code), bytesField(2, message)]);
  const wait = RETRY_AFTER_SECONDS[status];
  return {
    ...answer(status, encoding, body),
    ...(wait === undefined ? {} : { retryAfterSeconds: wait }),
  };
}

function answer(status: number, encoding: OtlpEncoding, body: Uint8Array): OtlpAnswer {
  return { status, contentType: CONTENT_TYPES[encoding], body };
}

function bytesField(field: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
