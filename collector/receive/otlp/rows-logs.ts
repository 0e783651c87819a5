/** Log records as rows of `otel_logs`, field by field as the Collector's exporter writes them. */
import { TABLES } from '../../clickhouse/tables.ts';
import type { LogSink } from './model.ts';
import {
  isStorable,
  type Refusals,
  type RowText,
  readId,
  resourceText,
  scopeText,
} from './row-text.ts';
import { attributesJson } from './value-text.ts';

/**
 * A sink that turns log records into rows. A record without a time has that of its observation, or, where
 * nobody observed it before, of its receipt.
 */
export function logRows(rows: RowText, refusals: Refusals, receivedMs: number): LogSink {
  const receivedNs = BigInt(receivedMs) * 1_000_000n;
  return {
    log(resource, scope, record) {
      const traceId = readId(record.traceId, 16);
      const spanId = readId(record.spanId, 8);
      const timeNs = record.timeNs || record.observedNs || receivedNs;
      if (traceId === undefined) return refusals.add('a trace id has 16 bytes');
      if (spanId === undefined) return refusals.add('a span id has 8 bytes');
      if (!isStorable(timeNs)) return refusals.add('a time is not between 1971 and 2105');
      const from = resourceText(resource);
      const by = scopeText(scope);
      rows.add(
        TABLES.logs,
        `{"Timestamp":${timeNs},"TraceId":"${traceId}","SpanId":"${spanId}","TraceFlags":${record.flags & 0xff},` +
          `"SeverityText":${JSON.stringify(record.severityText)},"SeverityNumber":${record.severityNumber & 0xff},` +
          `"ServiceName":${from.service},"Body":${JSON.stringify(record.body)},` +
          `"ResourceSchemaUrl":${JSON.stringify(resource.schemaUrl)},"ResourceAttributes":${from.json},` +
          `"ScopeSchemaUrl":${JSON.stringify(scope.schemaUrl)},"ScopeName":${by.name},"ScopeVersion":${by.version},` +
          `"ScopeAttributes":${by.json},"LogAttributes":${attributesJson(record.attributes)},` +
          `"EventName":${JSON.stringify(record.eventName)}}\n`,
      );
    },
  };
}
