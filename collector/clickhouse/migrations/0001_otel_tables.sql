-- The tables of the OpenTelemetry Collector's ClickHouse exporter (0.161), so that a fleet of Collectors can
-- write into them and Grafana's data source and other tools read them unchanged. What differs is invisible
-- to `SELECT *`: hot attributes (run, task, workflow, tenant) as materialized columns, since a filter on a map
-- attribute reads every row, and a deduplication window, so that a batch sent twice counts once.

CREATE DATABASE IF NOT EXISTS otel;

CREATE TABLE IF NOT EXISTS otel.otel_traces
(
    Timestamp            DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId              String CODEC(ZSTD(1)),
    SpanId               String CODEC(ZSTD(1)),
    ParentSpanId         String CODEC(ZSTD(1)),
    TraceState           String CODEC(ZSTD(1)),
    SpanName             LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind             LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName          LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes   Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName            String CODEC(ZSTD(1)),
    ScopeVersion         String CODEC(ZSTD(1)),
    SpanAttributes       Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration             UInt64 CODEC(ZSTD(1)),
    StatusCode           LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage        String CODEC(ZSTD(1)),
    `Events.Timestamp`   Array(DateTime64(9)) CODEC(ZSTD(1)),
    `Events.Name`        Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `Events.Attributes`  Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Links.TraceId`      Array(String) CODEC(ZSTD(1)),
    `Links.SpanId`       Array(String) CODEC(ZSTD(1)),
    `Links.TraceState`   Array(String) CODEC(ZSTD(1)),
    `Links.Attributes`   Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    RunId                String MATERIALIZED if(SpanAttributes['cicd.pipeline.run.id'] != '', SpanAttributes['cicd.pipeline.run.id'], ResourceAttributes['cicd.pipeline.run.id']) CODEC(ZSTD(1)),
    TaskKey              LowCardinality(String) MATERIALIZED if(SpanAttributes['cicd.pipeline.task.name'] != '', SpanAttributes['cicd.pipeline.task.name'], ResourceAttributes['cicd.pipeline.task.name']) CODEC(ZSTD(1)),
    Workflow             LowCardinality(String) MATERIALIZED if(SpanAttributes['cicd.pipeline.name'] != '', SpanAttributes['cicd.pipeline.name'], ResourceAttributes['cicd.pipeline.name']) CODEC(ZSTD(1)),
    Tenant               LowCardinality(String) MATERIALIZED if(SpanAttributes['tenant'] != '', SpanAttributes['tenant'], ResourceAttributes['tenant']) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_run_id RunId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts
(
    TraceId  String CODEC(ZSTD(1)),
    Start    DateTime CODEC(Delta, ZSTD(1)),
    End      DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.otel_traces_trace_id_ts_mv TO otel.otel_traces_trace_id_ts AS
SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
FROM otel.otel_traces
WHERE TraceId != ''
GROUP BY TraceId;

CREATE TABLE IF NOT EXISTS otel.otel_logs
(
    Timestamp           DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId             String CODEC(ZSTD(1)),
    SpanId              String CODEC(ZSTD(1)),
    TraceFlags          UInt8,
    SeverityText        LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber      UInt8,
    ServiceName         LowCardinality(String) CODEC(ZSTD(1)),
    Body                String CODEC(ZSTD(1)),
    ResourceSchemaUrl   LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes  Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl      LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName           String CODEC(ZSTD(1)),
    ScopeVersion        LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes     Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes       Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName           String CODEC(ZSTD(1)),
    `__otel_materialized_k8s.cluster.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.cluster.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.container.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.container.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.deployment.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.deployment.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.namespace.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.namespace.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.node.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.node.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.pod.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.pod.uid` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.uid'] CODEC(ZSTD(1)),
    `__otel_materialized_deployment.environment.name` LowCardinality(String) MATERIALIZED ResourceAttributes['deployment.environment.name'] CODEC(ZSTD(1)),
    RunId               String MATERIALIZED if(LogAttributes['cicd.pipeline.run.id'] != '', LogAttributes['cicd.pipeline.run.id'], ResourceAttributes['cicd.pipeline.run.id']) CODEC(ZSTD(1)),
    TaskKey             LowCardinality(String) MATERIALIZED if(LogAttributes['cicd.pipeline.task.name'] != '', LogAttributes['cicd.pipeline.task.name'], ResourceAttributes['cicd.pipeline.task.name']) CODEC(ZSTD(1)),
    Workflow            LowCardinality(String) MATERIALIZED if(LogAttributes['cicd.pipeline.name'] != '', LogAttributes['cicd.pipeline.name'], ResourceAttributes['cicd.pipeline.name']) CODEC(ZSTD(1)),
    Tenant              LowCardinality(String) MATERIALIZED if(LogAttributes['tenant'] != '', LogAttributes['tenant'], ResourceAttributes['tenant']) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX idx_lower_body lower(Body) TYPE text(tokenizer = 'splitByNonAlpha') GRANULARITY 100000000,
    INDEX idx_run_id RunId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_gauge
(
    ResourceAttributes              Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl               String CODEC(ZSTD(1)),
    ScopeName                       String CODEC(ZSTD(1)),
    ScopeVersion                    String CODEC(ZSTD(1)),
    ScopeAttributes                 Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount           UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl                  String CODEC(ZSTD(1)),
    ServiceName                     LowCardinality(String) CODEC(ZSTD(1)),
    MetricName                      LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription               String CODEC(ZSTD(1)),
    MetricUnit                      String CODEC(ZSTD(1)),
    Attributes                      Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix                   DateTime CODEC(Delta, ZSTD(1)),
    TimeUnix                        DateTime CODEC(Delta, ZSTD(1)),
    Value                           Float64 CODEC(ZSTD(1)),
    Flags                           UInt32 CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes`  Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix`            Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value`               Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId`              Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId`             Array(String) CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_sum
(
    ResourceAttributes              Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl               String CODEC(ZSTD(1)),
    ScopeName                       String CODEC(ZSTD(1)),
    ScopeVersion                    String CODEC(ZSTD(1)),
    ScopeAttributes                 Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount           UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl                  String CODEC(ZSTD(1)),
    ServiceName                     LowCardinality(String) CODEC(ZSTD(1)),
    MetricName                      LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription               String CODEC(ZSTD(1)),
    MetricUnit                      String CODEC(ZSTD(1)),
    Attributes                      Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix                   DateTime CODEC(Delta, ZSTD(1)),
    TimeUnix                        DateTime CODEC(Delta, ZSTD(1)),
    Value                           Float64 CODEC(ZSTD(1)),
    Flags                           UInt32 CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes`  Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix`            Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value`               Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId`              Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId`             Array(String) CODEC(ZSTD(1)),
    AggregationTemporality          Int32 CODEC(ZSTD(1)),
    IsMonotonic                     Bool CODEC(Delta, ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_histogram
(
    ResourceAttributes              Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl               String CODEC(ZSTD(1)),
    ScopeName                       String CODEC(ZSTD(1)),
    ScopeVersion                    String CODEC(ZSTD(1)),
    ScopeAttributes                 Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount           UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl                  String CODEC(ZSTD(1)),
    ServiceName                     LowCardinality(String) CODEC(ZSTD(1)),
    MetricName                      LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription               String CODEC(ZSTD(1)),
    MetricUnit                      String CODEC(ZSTD(1)),
    Attributes                      Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix                   DateTime CODEC(Delta, ZSTD(1)),
    TimeUnix                        DateTime CODEC(Delta, ZSTD(1)),
    Count                           UInt64 CODEC(ZSTD(1)),
    Sum                             Float64 CODEC(ZSTD(1)),
    BucketCounts                    Array(UInt64) CODEC(ZSTD(1)),
    ExplicitBounds                  Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes`  Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix`            Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value`               Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId`              Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId`             Array(String) CODEC(ZSTD(1)),
    Flags                           UInt32 CODEC(ZSTD(1)),
    Min                             Float64 CODEC(ZSTD(1)),
    Max                             Float64 CODEC(ZSTD(1)),
    AggregationTemporality          Int32 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_exponential_histogram
(
    ResourceAttributes              Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl               String CODEC(ZSTD(1)),
    ScopeName                       String CODEC(ZSTD(1)),
    ScopeVersion                    String CODEC(ZSTD(1)),
    ScopeAttributes                 Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount           UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl                  String CODEC(ZSTD(1)),
    ServiceName                     LowCardinality(String) CODEC(ZSTD(1)),
    MetricName                      LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription               String CODEC(ZSTD(1)),
    MetricUnit                      String CODEC(ZSTD(1)),
    Attributes                      Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix                   DateTime CODEC(Delta, ZSTD(1)),
    TimeUnix                        DateTime CODEC(Delta, ZSTD(1)),
    Count                           UInt64 CODEC(ZSTD(1)),
    Sum                             Float64 CODEC(ZSTD(1)),
    Scale                           Int32 CODEC(ZSTD(1)),
    ZeroCount                       UInt64 CODEC(ZSTD(1)),
    PositiveOffset                  Int32 CODEC(ZSTD(1)),
    PositiveBucketCounts            Array(UInt64) CODEC(ZSTD(1)),
    NegativeOffset                  Int32 CODEC(ZSTD(1)),
    NegativeBucketCounts            Array(UInt64) CODEC(ZSTD(1)),
    `Exemplars.FilteredAttributes`  Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Exemplars.TimeUnix`            Array(DateTime) CODEC(ZSTD(1)),
    `Exemplars.Value`               Array(Float64) CODEC(ZSTD(1)),
    `Exemplars.SpanId`              Array(String) CODEC(ZSTD(1)),
    `Exemplars.TraceId`             Array(String) CODEC(ZSTD(1)),
    Flags                           UInt32 CODEC(ZSTD(1)),
    Min                             Float64 CODEC(ZSTD(1)),
    Max                             Float64 CODEC(ZSTD(1)),
    AggregationTemporality          Int32 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS otel.otel_metrics_summary
(
    ResourceAttributes           Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl            String CODEC(ZSTD(1)),
    ScopeName                    String CODEC(ZSTD(1)),
    ScopeVersion                 String CODEC(ZSTD(1)),
    ScopeAttributes              Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount        UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl               String CODEC(ZSTD(1)),
    ServiceName                  LowCardinality(String) CODEC(ZSTD(1)),
    MetricName                   LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription            String CODEC(ZSTD(1)),
    MetricUnit                   String CODEC(ZSTD(1)),
    Attributes                   Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix                DateTime CODEC(Delta, ZSTD(1)),
    TimeUnix                     DateTime CODEC(Delta, ZSTD(1)),
    Count                        UInt64 CODEC(ZSTD(1)),
    Sum                          Float64 CODEC(ZSTD(1)),
    `ValueAtQuantiles.Quantile`  Array(Float64) CODEC(ZSTD(1)),
    `ValueAtQuantiles.Value`     Array(Float64) CODEC(ZSTD(1)),
    Flags                        UInt32 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;
