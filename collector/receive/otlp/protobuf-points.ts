/** Data points of the five kinds of metrics from their wire format. */
import { type Buckets, type Exemplar, emptyPoint, type Point } from './model.ts';
import { readKeyValue } from './protobuf-parts.ts';
import type { WireReader } from './wire.ts';

/** Reads fields into a point until its end; `field` reads those that the kind has beside start and time. */
function readPoint(
  reader: WireReader,
  attributesField: number,
  field: (point: Point) => boolean,
): Point {
  const point = emptyPoint();
  const attributes: string[] = [];
  while (reader.next()) {
    if (reader.field === attributesField) readKeyValue(reader, attributes);
    else if (reader.field === 2) point.startNs = reader.fixed64();
    else if (reader.field === 3) point.timeNs = reader.fixed64();
    else if (!field(point)) reader.skip();
  }
  point.attributes = attributes;
  return point;
}

/** A point of a gauge or a sum. */
export function readNumberPoint(reader: WireReader): Point {
  return readPoint(reader, 7, (point) => {
    if (reader.field === 4) point.value = reader.double();
    else if (reader.field === 6) point.value = Number(reader.sfixed64());
    else if (reader.field === 5) point.exemplars.push(readExemplar(reader));
    else if (reader.field === 8) point.flags = reader.uint32Field();
    else return false;
    return true;
  });
}

export function readHistogramPoint(reader: WireReader): Point {
  return readPoint(reader, 9, (point) => {
    if (reader.field === 4) point.count = reader.fixed64();
    else if (reader.field === 5) point.sum = reader.double();
    else if (reader.field === 6) reader.repeatedFixed64(point.bucketCounts);
    else if (reader.field === 7) reader.repeatedDouble(point.explicitBounds);
    else if (reader.field === 8) point.exemplars.push(readExemplar(reader));
    else if (reader.field === 10) point.flags = reader.uint32Field();
    else if (reader.field === 11) point.min = reader.double();
    else if (reader.field === 12) point.max = reader.double();
    else return false;
    return true;
  });
}

export function readExponentialPoint(reader: WireReader): Point {
  return readPoint(reader, 1, (point) => {
    if (reader.field === 4) point.count = reader.fixed64();
    else if (reader.field === 5) point.sum = reader.double();
    else if (reader.field === 6) point.scale = reader.sint32();
    else if (reader.field === 7) point.zeroCount = reader.fixed64();
    else if (reader.field === 8) point.positive = readBuckets(reader);
    else if (reader.field === 9) point.negative = readBuckets(reader);
    else if (reader.field === 10) point.flags = reader.uint32Field();
    else if (reader.field === 11) point.exemplars.push(readExemplar(reader));
    else if (reader.field === 12) point.min = reader.double();
    else if (reader.field === 13) point.max = reader.double();
    else return false;
    return true;
  });
}

export function readSummaryPoint(reader: WireReader): Point {
  return readPoint(reader, 7, (point) => {
    if (reader.field === 4) point.count = reader.fixed64();
    else if (reader.field === 5) point.sum = reader.double();
    else if (reader.field === 6) point.quantiles.push(readQuantile(reader));
    else if (reader.field === 8) point.flags = reader.uint32Field();
    else return false;
    return true;
  });
}

function readBuckets(reader: WireReader): Buckets {
  const buckets: Buckets = { offset: 0, counts: [] };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) buckets.offset = reader.sint32();
    else if (reader.field === 2) reader.repeatedUint64(buckets.counts);
    else reader.skip();
  }
  reader.leave(outer);
  return buckets;
}

function readQuantile(reader: WireReader): { quantile: number; value: number } {
  const at = { quantile: 0, value: 0 };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) at.quantile = reader.double();
    else if (reader.field === 2) at.value = reader.double();
    else reader.skip();
  }
  reader.leave(outer);
  return at;
}

function readExemplar(reader: WireReader): Exemplar {
  const attributes: string[] = [];
  const exemplar: Exemplar = { attributes, timeNs: 0n, value: 0, spanId: '', traceId: '' };
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 2) exemplar.timeNs = reader.fixed64();
    else if (reader.field === 3) exemplar.value = reader.double();
    else if (reader.field === 6) exemplar.value = Number(reader.sfixed64());
    else if (reader.field === 4) exemplar.spanId = reader.hex();
    else if (reader.field === 5) exemplar.traceId = reader.hex();
    else if (reader.field === 7) readKeyValue(reader, attributes);
    else reader.skip();
  }
  reader.leave(outer);
  return exemplar;
}
