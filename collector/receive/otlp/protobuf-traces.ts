/**
 * ExportTraceServiceRequest from its wire format straight to columns: the fields of a span are noted as places in
 * the body, looked at, and copied; no span ever becomes an object. Most of all telemetry is spans.
 */
import type { Resource, Scope } from './model.ts';
import { PairList } from './pair-list.ts';
import { readRequest } from './protobuf-parts.ts';
import { isStorableParts, type Refusals } from './row-text.ts';
import { KINDS, SPAN_FAULTS, STATUS_CODES } from './rows-traces.ts';
import { createTraceBlock } from './trace-block.ts';
import { attribute, sortedPairs } from './value-text.ts';
import { WireReader } from './wire.ts';

/** A value's place in the body; empty where start and stop are the same. */
interface Place {
  start: number;
  stop: number;
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
const NOWHERE = -1;
const EMPTY = Buffer.alloc(0);
const kindNames = KINDS.map((name) => Buffer.from(name));
const statusNames = STATUS_CODES.map((name) => Buffer.from(name));

/** Makes a reader; its memory serves request after request. */
export function createTraceReader() {
  const block = createTraceBlock();
  const span = new SpanReader(block.columns);
  return {
    /**
     * @returns the block of all spans that can be kept, and how many those are
     * @throws MalformedProtobufError
     */
    read(body: Uint8Array, refusals: Refusals): { body: Buffer; count: number } {
      block.clear();
      span.forget();
      const reader = new WireReader(body);
      let count = 0;
      readRequest(reader, (resource, scope) => {
        const fault = span.read(reader);
        if (fault) refusals.add(fault);
        else {
          span.write(reader, resource, scope);
          count += 1;
        }
      });
      return { body: count === 0 ? EMPTY : block.block(count), count };
    },
  };
}

type Columns = ReturnType<typeof createTraceBlock>['columns'];

/** The span that is being read, and the shared values that were written last. */
class SpanReader {
  private readonly columns: Columns;
  private readonly attributes = new PairList();
  private readonly innerAttributes = new PairList();
  private readonly traceId = place();
  private readonly spanId = place();
  private readonly parentId = place();
  private readonly state = place();
  private readonly name = place();
  private readonly message = place();
  private readonly id = place();
  private readonly events: number[] = [];
  private readonly links: number[] = [];
  private kind = 0;
  private statusCode = 0;
  private startAt = NOWHERE;
  private endAt = NOWHERE;
  private resource: Resource | undefined;
  private readonly service = place();
  private readonly resourceKeys = place();
  private readonly resourceValues = place();
  private resourceCount = 0;
  private scope: Scope | undefined;
  private readonly scopeName = place();
  private readonly scopeVersion = place();

  constructor(columns: Columns) {
    this.columns = columns;
  }

  /** What was written before is gone from the columns. */
  forget(): void {
    this.resource = undefined;
    this.scope = undefined;
  }

  /** Notes the fields of the span that the reader is in. @returns why it cannot be kept, if so */
  read(reader: WireReader): string | undefined {
    for (const each of [
      this.traceId,
      this.spanId,
      this.parentId,
      this.state,
      this.name,
      this.message,
    ]) {
      each.start = each.stop = 0;
    }
    this.attributes.clear();
    this.events.length = this.links.length = 0;
    this.kind = this.statusCode = 0;
    this.startAt = this.endAt = NOWHERE;
    while (reader.next()) this.readField(reader);
    return this.fault(reader);
  }

  private readField(reader: WireReader): void {
    const { field } = reader;
    if (field === 1) note(reader, this.traceId);
    else if (field === 2) note(reader, this.spanId);
    else if (field === 3) note(reader, this.state);
    else if (field === 4) note(reader, this.parentId);
    else if (field === 5) note(reader, this.name);
    else if (field === 6) this.kind = reader.int32();
    else if (field === 7) this.startAt = reader.fixed64At();
    else if (field === 8) this.endAt = reader.fixed64At();
    else if (field === 9) this.attributes.read(reader);
    else if (field === 11) this.events.push(reader.mark());
    else if (field === 13) this.links.push(reader.mark());
    else if (field === 15) this.readStatus(reader);
    else reader.skip();
  }

  private readStatus(reader: WireReader): void {
    const outer = reader.enter();
    while (reader.next()) {
      if (reader.field === 2) note(reader, this.message);
      else if (reader.field === 3) this.statusCode = reader.int32();
      else reader.skip();
    }
    reader.leave(outer);
  }

  private fault(reader: WireReader): string | undefined {
    if (!isId(this.traceId, TRACE_ID_BYTES)) return SPAN_FAULTS.traceId;
    if (!isId(this.spanId, SPAN_ID_BYTES) || !isId(this.parentId, SPAN_ID_BYTES)) {
      return SPAN_FAULTS.spanId;
    }
    if (!isTime(reader, this.startAt)) return SPAN_FAULTS.start;
    if (!isTime(reader, this.endAt)) return SPAN_FAULTS.end;
    for (const event of this.events) {
      if (!this.hasStorableTime(reader, event)) return SPAN_FAULTS.event;
    }
    return undefined;
  }

  private hasStorableTime(reader: WireReader, event: number): boolean {
    let timeAt = NOWHERE;
    reader.revisit(event, () => {
      while (reader.next()) {
        if (reader.field === 1) timeAt = reader.fixed64At();
        else reader.skip();
      }
    });
    const isAbsent =
      timeAt === NOWHERE || (reader.uint32LE(timeAt) === 0 && reader.uint32LE(timeAt + 4) === 0);
    return isAbsent || isTime(reader, timeAt);
  }

  /** Adds the span that was read to the columns. */
  write(reader: WireReader, resource: Resource, scope: Scope): void {
    const { columns } = this;
    const { buffer } = reader;
    columns.timestamp.add(buffer, this.startAt);
    columns.traceId.addHex(buffer, this.traceId.start, this.traceId.stop);
    columns.spanId.addHex(buffer, this.spanId.start, this.spanId.stop);
    columns.parentSpanId.addHex(buffer, this.parentId.start, this.parentId.stop);
    columns.traceState.add(buffer, this.state.start, this.state.stop);
    columns.spanName.add(buffer, this.name.start, this.name.stop);
    const kind = kindNames[this.kind] ?? EMPTY;
    columns.spanKind.add(kind, 0, kind.length);
    this.writeResource(resource);
    this.writeScope(scope);
    this.attributes.writeTo(columns.spanAttributes, buffer);
    this.writeDuration(reader);
    const status = statusNames[this.statusCode] ?? EMPTY;
    columns.statusCode.add(status, 0, status.length);
    columns.statusMessage.add(buffer, this.message.start, this.message.stop);
    this.writeEvents(reader);
    this.writeLinks(reader);
  }

  private writeResource(resource: Resource): void {
    const { serviceName, resourceAttributes } = this.columns;
    const { keys, values } = resourceAttributes.elements;
    if (this.resource === resource) {
      serviceName.repeat(this.service.start, this.service.stop);
      keys.repeat(this.resourceKeys.start, this.resourceKeys.stop);
      values.repeat(this.resourceValues.start, this.resourceValues.stop);
    } else {
      const pairs = sortedPairs(resource.attributes);
      this.service.start = serviceName.length;
      serviceName.addText(attribute(resource.attributes, 'service.name'));
      this.service.stop = serviceName.length;
      this.resourceKeys.start = keys.length;
      this.resourceValues.start = values.length;
      for (let index = 0; index < pairs.length; index += 2) {
        keys.addText(pairs[index] ?? '');
        values.addText(pairs[index + 1] ?? '');
      }
      this.resourceKeys.stop = keys.length;
      this.resourceValues.stop = values.length;
      this.resourceCount = pairs.length / 2;
      this.resource = resource;
    }
    resourceAttributes.end(this.resourceCount);
  }

  private writeScope(scope: Scope): void {
    const { scopeName, scopeVersion } = this.columns;
    if (this.scope === scope) {
      scopeName.repeat(this.scopeName.start, this.scopeName.stop);
      scopeVersion.repeat(this.scopeVersion.start, this.scopeVersion.stop);
      return;
    }
    this.scopeName.start = scopeName.length;
    scopeName.addText(scope.name);
    this.scopeName.stop = scopeName.length;
    this.scopeVersion.start = scopeVersion.length;
    scopeVersion.addText(scope.version);
    this.scopeVersion.stop = scopeVersion.length;
    this.scope = scope;
  }

  /** An end before its start is a clock that was set back: the span took no measurable time. */
  private writeDuration(reader: WireReader): void {
    const startLow = reader.uint32LE(this.startAt);
    const endLow = reader.uint32LE(this.endAt);
    const borrow = endLow < startLow ? 1 : 0;
    const high = reader.uint32LE(this.endAt + 4) - reader.uint32LE(this.startAt + 4) - borrow;
    if (high < 0) this.columns.duration.addParts(0, 0);
    else this.columns.duration.addParts(endLow - startLow, high);
  }

  private writeEvents(reader: WireReader): void {
    const { eventTimes, eventNames, eventAttributes } = this.columns;
    for (const event of this.events) {
      let timeAt = NOWHERE;
      this.id.start = this.id.stop = 0;
      this.innerAttributes.clear();
      reader.revisit(event, () => {
        while (reader.next()) {
          if (reader.field === 1) timeAt = reader.fixed64At();
          else if (reader.field === 2) note(reader, this.id);
          else if (reader.field === 3) this.innerAttributes.read(reader);
          else reader.skip();
        }
      });
      if (timeAt === NOWHERE) eventTimes.elements.addParts(0, 0);
      else eventTimes.elements.add(reader.buffer, timeAt);
      eventNames.elements.add(reader.buffer, this.id.start, this.id.stop);
      this.innerAttributes.writeTo(eventAttributes.elements, reader.buffer);
    }
    for (const column of [eventTimes, eventNames, eventAttributes]) column.end(this.events.length);
  }

  private writeLinks(reader: WireReader): void {
    const { linkTraceIds, linkSpanIds, linkTraceStates, linkAttributes } = this.columns;
    for (const link of this.links) {
      const traceId = place();
      const spanId = place();
      const state = place();
      this.innerAttributes.clear();
      reader.revisit(link, () => {
        while (reader.next()) {
          if (reader.field === 1) note(reader, traceId);
          else if (reader.field === 2) note(reader, spanId);
          else if (reader.field === 3) note(reader, state);
          else if (reader.field === 4) this.innerAttributes.read(reader);
          else reader.skip();
        }
      });
      if (!isId(traceId, TRACE_ID_BYTES)) traceId.stop = traceId.start;
      if (!isId(spanId, SPAN_ID_BYTES)) spanId.stop = spanId.start;
      linkTraceIds.elements.addHex(reader.buffer, traceId.start, traceId.stop);
      linkSpanIds.elements.addHex(reader.buffer, spanId.start, spanId.stop);
      linkTraceStates.elements.add(reader.buffer, state.start, state.stop);
      this.innerAttributes.writeTo(linkAttributes.elements, reader.buffer);
    }
    for (const column of [linkTraceIds, linkSpanIds, linkTraceStates, linkAttributes]) {
      column.end(this.links.length);
    }
  }
}

function place(): Place {
  return { start: 0, stop: 0 };
}

function note(reader: WireReader, into: Place): void {
  into.start = reader.bytes();
  into.stop = reader.stop;
}

/** An id is absent, or of its full length. */
function isId(id: Place, bytes: number): boolean {
  const length = id.stop - id.start;
  return length === 0 || length === bytes;
}

function isTime(reader: WireReader, at: number): boolean {
  return at !== NOWHERE && isStorableParts(reader.uint32LE(at), reader.uint32LE(at + 4));
}
