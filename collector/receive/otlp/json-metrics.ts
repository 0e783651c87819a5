/** Metrics of all five kinds from OTLP's JSON form. */
import { readJsonRequest } from './json-items.ts';
import type { JsonNode } from './json-read.ts';
import { type Buckets, emptyPoint, type MetricKind, type MetricSink, type Point } from './model.ts';

const KINDS: readonly (readonly [field: string, kind: MetricKind])[] = [
  ['gauge', 'gauge'],
  ['sum', 'sum'],
  ['histogram', 'histogram'],
  ['exponentialHistogram', 'exponential_histogram'],
  ['summary', 'summary'],
];
const TEMPORALITIES = ['UNSPECIFIED', 'DELTA', 'CUMULATIVE'].map(
  (name) => `AGGREGATION_TEMPORALITY_${name}`,
);

/** @throws SyntaxError, MalformedJsonError */
export function readMetricsJson(text: string, sink: MetricSink): void {
  const names = { resources: 'resourceMetrics', scopes: 'scopeMetrics', items: 'metrics' };
  readJsonRequest(text, names, (resource, scope, node) => {
    for (const [field, kind] of KINDS) {
      const data = node.node(field);
      if (!data) continue;
      const metric = {
        name: node.string('name'),
        description: node.string('description'),
        unit: node.string('unit'),
        kind,
        temporality: data.enumeration('aggregationTemporality', TEMPORALITIES),
        isMonotonic: data.bool('isMonotonic'),
      };
      for (const point of data.nodes('dataPoints')) {
        sink.point(resource, scope, metric, readPoint(point));
      }
    }
  });
}

/** All kinds at once: a field that a kind does not have is absent and stays zero. */
function readPoint(node: JsonNode): Point {
  return {
    ...emptyPoint(),
    attributes: node.attributes(),
    startNs: node.uint64('startTimeUnixNano'),
    timeNs: node.uint64('timeUnixNano'),
    flags: node.number('flags'),
    value: node.has('asInt') ? node.number('asInt') : node.number('asDouble'),
    count: node.uint64('count'),
    sum: node.number('sum'),
    min: node.number('min'),
    max: node.number('max'),
    bucketCounts: node.uint64s('bucketCounts'),
    explicitBounds: node.numbers('explicitBounds'),
    scale: node.number('scale'),
    zeroCount: node.uint64('zeroCount'),
    positive: readBuckets(node.node('positive')),
    negative: readBuckets(node.node('negative')),
    quantiles: node.nodes('quantileValues').map((at) => ({
      quantile: at.number('quantile'),
      value: at.number('value'),
    })),
    exemplars: node.nodes('exemplars').map((exemplar) => ({
      attributes: exemplar.attributes('filteredAttributes'),
      timeNs: exemplar.uint64('timeUnixNano'),
      value: exemplar.has('asInt') ? exemplar.number('asInt') : exemplar.number('asDouble'),
      spanId: exemplar.id('spanId'),
      traceId: exemplar.id('traceId'),
    })),
  };
}

function readBuckets(node: JsonNode | undefined): Buckets {
  return { offset: node?.number('offset') ?? 0, counts: node?.uint64s('bucketCounts') ?? [] };
}
