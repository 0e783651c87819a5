/** From the bytes of a request to rows by table, whichever its encoding: the part that is pure. */
import { SignalboxError } from '../../../domain/errors.ts';
import { TABLES } from '../../clickhouse/tables.ts';
import type { OtlpSignal } from '../../service.ts';
import type { OtlpEncoding } from './answer.ts';
import { readLogsJson, readTracesJson } from './json-items.ts';
import { readMetricsJson } from './json-metrics.ts';
import { MalformedJsonError } from './json-read.ts';
import type { MetricSink } from './model.ts';
import { readLogsProtobuf } from './protobuf-logs.ts';
import { readMetricsProtobuf } from './protobuf-metrics.ts';
import { createTraceReader } from './protobuf-traces.ts';
import { createRefusals, createRowText, type Refusals, type TableRows } from './row-text.ts';
import { logRows } from './rows-logs.ts';
import { metricRows } from './rows-metrics.ts';
import { traceRows } from './rows-traces.ts';
import { MalformedProtobufError } from './wire.ts';

export interface ReadOtlp {
  readonly tables: readonly TableRows[];
  /** What could not be kept, item by item. */
  readonly refusals: Refusals;
}

/** Makes the function that reads decompressed bodies, one after the other. */
export function createOtlpReader() {
  const traceReader = createTraceReader();

  function readSpans(body: Uint8Array, refusals: Refusals): TableRows[] {
    const rows = traceReader.read(body, refusals);
    return rows.count === 0 ? [] : [{ table: TABLES.traces, format: 'Native', rows }];
  }

  /**
   * @param alsoTo sees each data point that was kept
   * @throws SignalboxError `malformed-protobuf`, `malformed-json`, `invalid-request` (JSON of another form)
   */
  return function readOtlp(
    signal: OtlpSignal,
    encoding: OtlpEncoding,
    body: Uint8Array,
    receivedMs: number,
    alsoTo: MetricSink,
  ): ReadOtlp {
    const rows = createRowText();
    const refusals = createRefusals();
    const isJson = encoding === 'json';
    try {
      if (signal === 'traces') {
        if (!isJson) return { tables: readSpans(body, refusals), refusals };
        FROM_JSON.traces(body, traceRows(rows, refusals));
      } else if (signal === 'logs') {
        const read = isJson ? FROM_JSON.logs : readLogsProtobuf;
        read(body, logRows(rows, refusals, receivedMs));
      } else {
        const read = isJson ? FROM_JSON.metrics : readMetricsProtobuf;
        read(body, both(metricRows(rows, refusals), refusals, alsoTo));
      }
    } catch (error) {
      throw asRefusal(error);
    }
    return { tables: rows.finish(), refusals };
  };
}

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
