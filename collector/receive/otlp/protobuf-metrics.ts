/** ExportMetricsServiceRequest from its wire format: a metric's name and kind, then each of its points. */
import type { Metric, MetricKind, MetricSink, Point, Resource, Scope } from './model.ts';
import { readRequest } from './protobuf-parts.ts';
import {
  readExponentialPoint,
  readHistogramPoint,
  readNumberPoint,
  readSummaryPoint,
} from './protobuf-points.ts';
import { WireReader } from './wire.ts';

const KINDS: Readonly<Record<number, MetricKind>> = {
  5: 'gauge',
  7: 'sum',
  9: 'histogram',
  10: 'exponential_histogram',
  11: 'summary',
};

const READ_POINT: Readonly<Record<MetricKind, (reader: WireReader) => Point>> = {
  gauge: readNumberPoint,
  sum: readNumberPoint,
  histogram: readHistogramPoint,
  exponential_histogram: readExponentialPoint,
  summary: readSummaryPoint,
};

/** @throws MalformedProtobufError */
export function readMetricsProtobuf(body: Uint8Array, sink: MetricSink): void {
  const reader = new WireReader(body);
  readRequest(reader, (resource, scope) => readMetric(reader, resource, scope, sink));
}

function readMetric(reader: WireReader, resource: Resource, scope: Scope, sink: MetricSink): void {
  const text = { name: '', description: '', unit: '' };
  let kind: MetricKind | undefined;
  let data = 0;
  while (reader.next()) {
    const found = KINDS[reader.field];
    if (reader.field === 1) text.name = reader.string();
    else if (reader.field === 2) text.description = reader.string();
    else if (reader.field === 3) text.unit = reader.string();
    else if (found) {
      kind = found;
      data = reader.mark();
    } else reader.skip();
  }
  if (!kind) return;
  const known = kind;
  reader.revisit(data, () => {
    const points: number[] = [];
    let temporality = 0;
    let isMonotonic = false;
    while (reader.next()) {
      if (reader.field === 1) points.push(reader.mark());
      else if (reader.field === 2) temporality = reader.int32();
      else if (reader.field === 3) isMonotonic = reader.bool();
      else reader.skip();
    }
    const metric: Metric = { ...text, kind: known, temporality, isMonotonic };
    for (const place of points) {
      reader.revisit(place, () => sink.point(resource, scope, metric, READ_POINT[known](reader)));
    }
  });
}
