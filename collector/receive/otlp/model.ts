/**
 * What both encodings of OTLP are read into: one item at a time, handed to a sink that makes a row of it. Times
 * are nanoseconds since the epoch, 0 where none was given; ids are lower-case hexadecimal, '' where absent.
 */

/** An attribute's value. Integers are numbers where those are exact. */
export type AnyValue =
  | null
  | string
  | boolean
  | number
  | bigint
  | Uint8Array
  | readonly AnyValue[]
  | ReadonlyMap<string, AnyValue>;

/** Keys and values as text, one after the other. */
export type Attributes = readonly string[];

export interface Resource {
  readonly attributes: Attributes;
  readonly schemaUrl: string;
}

export interface Scope {
  readonly name: string;
  readonly version: string;
  readonly attributes: Attributes;
  readonly droppedAttributes: number;
  readonly schemaUrl: string;
}

export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: number;
  startNs: bigint;
  endNs: bigint;
  attributes: Attributes;
  events: SpanEvent[];
  links: SpanLink[];
  statusCode: number;
  statusMessage: string;
}

export interface SpanEvent {
  timeNs: bigint;
  name: string;
  attributes: Attributes;
}

export interface SpanLink {
  traceId: string;
  spanId: string;
  traceState: string;
  attributes: Attributes;
}

export interface LogRecord {
  timeNs: bigint;
  observedNs: bigint;
  traceId: string;
  spanId: string;
  flags: number;
  severityText: string;
  severityNumber: number;
  body: string;
  attributes: Attributes;
  eventName: string;
}

export type MetricKind = 'gauge' | 'sum' | 'histogram' | 'exponential_histogram' | 'summary';

/** What all points of a metric share. */
export interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: MetricKind;
  readonly temporality: number;
  readonly isMonotonic: boolean;
}

/** A point of any kind; the fields that its kind does not have keep their zero. */
export interface Point {
  attributes: Attributes;
  startNs: bigint;
  timeNs: bigint;
  flags: number;
  value: number;
  count: bigint;
  sum: number;
  min: number;
  max: number;
  bucketCounts: bigint[];
  explicitBounds: number[];
  scale: number;
  zeroCount: bigint;
  positive: Buckets;
  negative: Buckets;
  quantiles: { quantile: number; value: number }[];
  exemplars: Exemplar[];
}

export interface Buckets {
  offset: number;
  counts: bigint[];
}

export interface Exemplar {
  attributes: Attributes;
  timeNs: bigint;
  value: number;
  spanId: string;
  traceId: string;
}

export interface TraceSink {
  span(resource: Resource, scope: Scope, span: Span): void;
}

export interface LogSink {
  log(resource: Resource, scope: Scope, record: LogRecord): void;
}

export interface MetricSink {
  point(resource: Resource, scope: Scope, metric: Metric, point: Point): void;
}

const NONE: Attributes = [];
export const EMPTY_RESOURCE: Resource = { attributes: NONE, schemaUrl: '' };
export const EMPTY_SCOPE: Scope = {
  name: '',
  version: '',
  attributes: NONE,
  droppedAttributes: 0,
  schemaUrl: '',
};

export function emptyLog(): LogRecord {
  return {
    timeNs: 0n,
    observedNs: 0n,
    traceId: '',
    spanId: '',
    flags: 0,
    severityText: '',
    severityNumber: 0,
    body: '',
    attributes: NONE,
    eventName: '',
  };
}

export function emptyPoint(): Point {
  return {
    attributes: NONE,
    startNs: 0n,
    timeNs: 0n,
    flags: 0,
    value: 0,
    count: 0n,
    sum: 0,
    min: 0,
    max: 0,
    bucketCounts: [],
    explicitBounds: [],
    scale: 0,
    zeroCount: 0n,
    positive: { offset: 0, counts: [] },
    negative: { offset: 0, counts: [] },
    quantiles: [],
    exemplars: [],
  };
}
