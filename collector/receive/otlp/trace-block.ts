/** Rows of `otel_traces` as columns. What many spans share (resource, scope) is copied from the row before. */
import {
  ArrayColumn,
  Fixed64Column,
  mapColumn,
  type NamedColumn,
  nativeBlock,
  StringColumn,
} from './columns.ts';

const STRINGS = 'Array(String)';
const MAP = 'Map(String, String)';

/** Makes the columns; `finish` gives their block and empties them. */
export function createTraceBlock() {
  const columns = {
    timestamp: new Fixed64Column(),
    traceId: new StringColumn(),
    spanId: new StringColumn(),
    parentSpanId: new StringColumn(),
    traceState: new StringColumn(),
    spanName: new StringColumn(),
    spanKind: new StringColumn(),
    serviceName: new StringColumn(),
    resourceAttributes: mapColumn(),
    scopeName: new StringColumn(),
    scopeVersion: new StringColumn(),
    spanAttributes: mapColumn(),
    duration: new Fixed64Column(),
    statusCode: new StringColumn(),
    statusMessage: new StringColumn(),
    eventTimes: new ArrayColumn(new Fixed64Column()),
    eventNames: new ArrayColumn(new StringColumn()),
    eventAttributes: new ArrayColumn(mapColumn()),
    linkTraceIds: new ArrayColumn(new StringColumn()),
    linkSpanIds: new ArrayColumn(new StringColumn()),
    linkTraceStates: new ArrayColumn(new StringColumn()),
    linkAttributes: new ArrayColumn(mapColumn()),
  };
  const named: readonly NamedColumn[] = [
    ['Timestamp', 'DateTime64(9)', columns.timestamp],
    ['TraceId', 'String', columns.traceId],
    ['SpanId', 'String', columns.spanId],
    ['ParentSpanId', 'String', columns.parentSpanId],
    ['TraceState', 'String', columns.traceState],
    ['SpanName', 'String', columns.spanName],
    ['SpanKind', 'String', columns.spanKind],
    ['ServiceName', 'String', columns.serviceName],
    ['ResourceAttributes', MAP, columns.resourceAttributes],
    ['ScopeName', 'String', columns.scopeName],
    ['ScopeVersion', 'String', columns.scopeVersion],
    ['SpanAttributes', MAP, columns.spanAttributes],
    ['Duration', 'UInt64', columns.duration],
    ['StatusCode', 'String', columns.statusCode],
    ['StatusMessage', 'String', columns.statusMessage],
    ['Events.Timestamp', 'Array(DateTime64(9))', columns.eventTimes],
    ['Events.Name', STRINGS, columns.eventNames],
    ['Events.Attributes', `Array(${MAP})`, columns.eventAttributes],
    ['Links.TraceId', STRINGS, columns.linkTraceIds],
    ['Links.SpanId', STRINGS, columns.linkSpanIds],
    ['Links.TraceState', STRINGS, columns.linkTraceStates],
    ['Links.Attributes', `Array(${MAP})`, columns.linkAttributes],
  ];
  return {
    columns,
    /** Empties the columns, also of what a malformed request left in them. */
    clear(): void {
      for (const [, , column] of named) column.clear();
    },
    block: (rows: number) => nativeBlock(named, rows),
  };
}

export type TraceBlock = ReturnType<typeof createTraceBlock>;
