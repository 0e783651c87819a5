/** Data points as rows of the five metrics tables, field by field as the Collector's exporter writes them. */
import type { Exemplar, Metric, MetricKind, MetricSink, Point, Resource, Scope } from './model.ts';
import {
  floatText,
  isStorable,
  type Refusals,
  type RowText,
  readId,
  resourceText,
  scopeText,
} from './row-text.ts';
import { attributesJson } from './value-text.ts';

/** A sink that turns points into rows. */
export function metricRows(rows: RowText, refusals: Refusals): MetricSink {
  return {
    point(resource, scope, metric, point) {
      if (!isStorable(point.timeNs)) {
        return refusals.add('a time is absent or not between 1971 and 2105');
      }
      if (point.startNs !== 0n && !isStorable(point.startNs)) {
        return refusals.add('a start time is not between 1971 and 2105');
      }
      rows.add(
        `otel.otel_metrics_${metric.kind}`,
        `{${headText(resource, scope, metric)},"Attributes":${attributesJson(point.attributes)},` +
          `"StartTimeUnix":${seconds(point.startNs)},"TimeUnix":${seconds(point.timeNs)},` +
          `"Flags":${point.flags >>> 0},${VALUES[metric.kind](point, metric)}${exemplarsText(point.exemplars)}}\n`,
      );
    },
  };
}

const heads = new WeakMap<Metric, string>();

function headText(resource: Resource, scope: Scope, metric: Metric): string {
  const known = heads.get(metric);
  if (known) return known;
  const from = resourceText(resource);
  const by = scopeText(scope);
  const made =
    `"ResourceAttributes":${from.json},"ResourceSchemaUrl":${JSON.stringify(resource.schemaUrl)},` +
    `"ScopeName":${by.name},"ScopeVersion":${by.version},"ScopeAttributes":${by.json},` +
    `"ScopeDroppedAttrCount":${scope.droppedAttributes},"ScopeSchemaUrl":${JSON.stringify(scope.schemaUrl)},` +
    `"ServiceName":${from.service},"MetricName":${JSON.stringify(metric.name)},` +
    `"MetricDescription":${JSON.stringify(metric.description)},"MetricUnit":${JSON.stringify(metric.unit)}`;
  heads.set(metric, made);
  return made;
}

const VALUES: Readonly<Record<MetricKind, (point: Point, metric: Metric) => string>> = {
  gauge: (point) => `"Value":${floatText(point.value)}`,
  sum: (point, metric) =>
    `"Value":${floatText(point.value)},"AggregationTemporality":${metric.temporality},"IsMonotonic":${metric.isMonotonic}`,
  histogram: (point, metric) =>
    `${distributionText(point)},"BucketCounts":[${point.bucketCounts}],` +
    `"ExplicitBounds":[${point.explicitBounds.map(floatText)}],"AggregationTemporality":${metric.temporality}`,
  exponential_histogram: (point, metric) =>
    `${distributionText(point)},"Scale":${point.scale},"ZeroCount":${point.zeroCount},` +
    `"PositiveOffset":${point.positive.offset},"PositiveBucketCounts":[${point.positive.counts}],` +
    `"NegativeOffset":${point.negative.offset},"NegativeBucketCounts":[${point.negative.counts}],` +
    `"AggregationTemporality":${metric.temporality}`,
  summary: (point) =>
    `"Count":${point.count},"Sum":${floatText(point.sum)},` +
    `"ValueAtQuantiles.Quantile":[${point.quantiles.map((at) => floatText(at.quantile))}],` +
    `"ValueAtQuantiles.Value":[${point.quantiles.map((at) => floatText(at.value))}]`,
};

function distributionText(point: Point): string {
  const { count, sum, min, max } = point;
  return `"Count":${count},"Sum":${floatText(sum)},"Min":${floatText(min)},"Max":${floatText(max)}`;
}

function exemplarsText(exemplars: readonly Exemplar[]): string {
  if (exemplars.length === 0) return '';
  return (
    `,"Exemplars.FilteredAttributes":[${exemplars.map((one) => attributesJson(one.attributes))}],` +
    `"Exemplars.TimeUnix":[${exemplars.map((one) => seconds(isStorable(one.timeNs) ? one.timeNs : 0n))}],` +
    `"Exemplars.Value":[${exemplars.map((one) => floatText(one.value))}],` +
    `"Exemplars.SpanId":[${exemplars.map((one) => `"${readId(one.spanId, 8) ?? ''}"`)}],` +
    `"Exemplars.TraceId":[${exemplars.map((one) => `"${readId(one.traceId, 16) ?? ''}"`)}]`
  );
}

function seconds(ns: bigint): bigint {
  return ns / 1_000_000_000n;
}
