/** From the bytes of a request to rows by table, whichever its encoding: the part that is pure. */
import { SignalboxError } from '../../../domain/errors.ts';
import type { Rows } from '../../clickhouse/lane.ts';
import type { OtlpSignal } from '../../service.ts';
import type { OtlpEncoding } from './answer.ts';
import { readLogsJson, readTracesJson } from './json-items.ts';
import { readMetricsJson } from './json-metrics.ts';
import { MalformedJsonError } from './json-read.ts';
import type { MetricSink } from './model.ts';
import { readLogsProtobuf } from './protobuf-logs.ts';
import { readMetricsProtobuf } from './protobuf-metrics.ts';
import { readTracesProtobuf } from './protobuf-traces.ts';
import { createRefusals, createRowText, type Refusals } from './row-text.ts';
import { logRows } from './rows-logs.ts';
import { metricRows } from './rows-metrics.ts';
import { traceRows } from './rows-traces.ts';
import { MalformedProtobufError } from './wire.ts';

export interface ReadOtlp {
  readonly tables: readonly { table: string; rows: Rows }[];
  /** What could not be kept, item by item. */
  readonly refusals: Refusals;
}

/**
 * Reads a decompressed body.
 * @param alsoTo sees each data point that was kept
 * @throws SignalboxError `malformed-protobuf`, `malformed-json`, `invalid-request` (JSON of another form)
 */
export function readOtlp(
  signal: OtlpSignal,
  encoding: OtlpEncoding,
  body: Uint8Array,
  receivedMs: number,
  alsoTo: MetricSink,
): ReadOtlp {
  const rows = createRowText();
  const refusals = createRefusals();
  const read = encoding === 'json' ? FROM_JSON : FROM_PROTOBUF;
  try {
    if (signal === 'traces') read.traces(body, traceRows(rows, refusals));
    else if (signal === 'logs') read.logs(body, logRows(rows, refusals, receivedMs));
    else read.metrics(body, both(metricRows(rows, refusals), refusals, alsoTo));
  } catch (error) {
    throw asRefusal(error);
  }
  return { tables: rows.finish(), refusals };
}

const FROM_PROTOBUF = {
  traces: readTracesProtobuf,
  logs: readLogsProtobuf,
  metrics: readMetricsProtobuf,
};

const FROM_JSON = {
  traces: jsonReader(readTracesJson),
  logs: jsonReader(readLogsJson),
  metrics: jsonReader(readMetricsJson),
};

function jsonReader<Sink>(read: (text: string, sink: Sink) => void) {
  return (body: Uint8Array, sink: Sink) =>
    read(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'), sink);
}

function both(rows: MetricSink, refusals: Refusals, other: MetricSink): MetricSink {
  return {
    point(resource, scope, metric, point) {
      const before = refusals.count;
      rows.point(resource, scope, metric, point);
      if (refusals.count === before) other.point(resource, scope, metric, point);
    },
  };
}

function asRefusal(error: unknown): unknown {
  if (error instanceof MalformedProtobufError) {
    return new SignalboxError('malformed-protobuf', error.message);
  }
  if (error instanceof MalformedJsonError) {
    const fault = { path: error.path, message: error.message };
    return new SignalboxError('invalid-request', error.message, [fault]);
  }
  if (error instanceof SyntaxError) return new SignalboxError('malformed-json', error.message);
  return error;
}
