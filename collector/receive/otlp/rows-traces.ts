/** Spans that came as JSON as rows of `otel_traces`, field by field as the Collector's exporter writes them. */
import { TABLES } from '../../clickhouse/tables.ts';
import type { Span, SpanLink, TraceSink } from './model.ts';
import {
  isStorable,
  type Refusals,
  type RowText,
  readId,
  resourceText,
  scopeText,
} from './row-text.ts';
import { attributesJson } from './value-text.ts';

export const KINDS = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];
export const STATUS_CODES = ['Unset', 'Ok', 'Error'];

export const SPAN_FAULTS = {
  traceId: 'a trace id has 16 bytes',
  spanId: 'a span id has 8 bytes',
  start: 'a start time is absent or not between 1971 and 2105',
  end: 'an end time is absent or not between 1971 and 2105',
  event: "an event's time is not between 1971 and 2105",
} as const;

/** A sink that turns spans into rows. */
export function traceRows(rows: RowText, refusals: Refusals): TraceSink {
  return {
    span(resource, scope, span) {
      const traceId = readId(span.traceId, 16);
      const spanId = readId(span.spanId, 8);
      const parentId = readId(span.parentSpanId, 8);
      const fault = faultOf(span, traceId, spanId, parentId);
      if (fault) return refusals.add(fault);
      const from = resourceText(resource);
      const by = scopeText(scope);
      // An end before its start is a clock that was set back: the span took no measurable time.
      const duration = span.endNs > span.startNs ? span.endNs - span.startNs : 0n;
      rows.add(
        TABLES.traces,
        `{"Timestamp":${span.startNs},"TraceId":"${traceId}","SpanId":"${spanId}","ParentSpanId":"${parentId}",` +
          `"TraceState":${JSON.stringify(span.traceState)},"SpanName":${JSON.stringify(span.name)},` +
          `"SpanKind":"${KINDS[span.kind] ?? ''}","ServiceName":${from.service},"ResourceAttributes":${from.json},` +
          `"ScopeName":${by.name},"ScopeVersion":${by.version},"SpanAttributes":${attributesJson(span.attributes)},` +
          `"Duration":${duration},"StatusCode":"${STATUS_CODES[span.statusCode] ?? ''}",` +
          `"StatusMessage":${JSON.stringify(span.statusMessage)}${eventsText(span)}${linksText(span.links)}}\n`,
      );
    },
  };
}

function faultOf(
  span: Span,
  traceId: string | undefined,
  spanId: string | undefined,
  parentId: string | undefined,
): string | undefined {
  if (traceId === undefined) return SPAN_FAULTS.traceId;
  if (spanId === undefined || parentId === undefined) return SPAN_FAULTS.spanId;
  if (!isStorable(span.startNs)) return SPAN_FAULTS.start;
  if (!isStorable(span.endNs)) return SPAN_FAULTS.end;
  const late = span.events.some((event) => event.timeNs !== 0n && !isStorable(event.timeNs));
  return late ? SPAN_FAULTS.event : undefined;
}

function eventsText(span: Span): string {
  if (span.events.length === 0) return '';
  const times = span.events.map((event) => event.timeNs).join(',');
  const names = span.events.map((event) => JSON.stringify(event.name)).join(',');
  const attributes = span.events.map((event) => attributesJson(event.attributes)).join(',');
  return `,"Events.Timestamp":[${times}],"Events.Name":[${names}],"Events.Attributes":[${attributes}]`;
}

function linksText(links: readonly SpanLink[]): string {
  if (links.length === 0) return '';
  const traceIds = links.map((link) => `"${readId(link.traceId, 16) ?? ''}"`).join(',');
  const spanIds = links.map((link) => `"${readId(link.spanId, 8) ?? ''}"`).join(',');
  const states = links.map((link) => JSON.stringify(link.traceState)).join(',');
  const attributes = links.map((link) => attributesJson(link.attributes)).join(',');
  return `,"Links.TraceId":[${traceIds}],"Links.SpanId":[${spanIds}],"Links.TraceState":[${states}],"Links.Attributes":[${attributes}]`;
}
