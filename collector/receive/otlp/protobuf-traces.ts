/** ExportTraceServiceRequest from its wire format. */
import { emptySpan, type Span, type SpanEvent, type SpanLink, type TraceSink } from './model.ts';
import { readKeyValue, readRequest } from './protobuf-parts.ts';
import { WireReader } from './wire.ts';

/** @throws MalformedProtobufError */
export function readTracesProtobuf(body: Uint8Array, sink: TraceSink): void {
  const reader = new WireReader(body);
  readRequest(reader, (resource, scope) => sink.span(resource, scope, readSpan(reader)));
}

function readSpan(reader: WireReader): Span {
  const span = emptySpan();
  const attributes: string[] = [];
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        span.traceId = reader.hex();
        break;
      case 2:
        span.spanId = reader.hex();
        break;
      case 3:
        span.traceState = reader.string();
        break;
      case 4:
        span.parentSpanId = reader.hex();
        break;
      case 5:
        span.name = reader.string();
        break;
      case 6:
        span.kind = reader.int32();
        break;
      case 7:
        span.startNs = reader.fixed64();
        break;
      case 8:
        span.endNs = reader.fixed64();
        break;
      case 9:
        readKeyValue(reader, attributes);
        break;
      case 11:
        span.events.push(readEvent(reader));
        break;
      case 13:
        span.links.push(readLink(reader));
        break;
      case 15:
        readStatus(reader, span);
        break;
      default:
        reader.skip();
    }
  }
  span.attributes = attributes;
  return span;
}

function readEvent(reader: WireReader): SpanEvent {
  const attributes: string[] = [];
  const event: SpanEvent = { timeNs: 0n, name: '', attributes };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) event.timeNs = reader.fixed64();
    else if (reader.field === 2) event.name = reader.string();
    else if (reader.field === 3) readKeyValue(reader, attributes);
    else reader.skip();
  }
  reader.leave(outer);
  return event;
}

function readLink(reader: WireReader): SpanLink {
  const attributes: string[] = [];
  const link: SpanLink = { traceId: '', spanId: '', traceState: '', attributes };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) link.traceId = reader.hex();
    else if (reader.field === 2) link.spanId = reader.hex();
    else if (reader.field === 3) link.traceState = reader.string();
    else if (reader.field === 4) readKeyValue(reader, attributes);
    else reader.skip();
  }
  reader.leave(outer);
  return link;
}

function readStatus(reader: WireReader, span: Span): void {
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 2) span.statusMessage = reader.string();
    else if (reader.field === 3) span.statusCode = reader.int32();
    else reader.skip();
  }
  reader.leave(outer);
}
