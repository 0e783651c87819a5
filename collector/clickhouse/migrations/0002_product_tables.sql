-- The product's own tables: what was seen of runs, assets, pools and heartbeats. Append-only. A batch that is
-- sent twice is recognized by its insert_deduplication_token, hence the deduplication window.

CREATE DATABASE IF NOT EXISTS signalbox;

CREATE TABLE IF NOT EXISTS signalbox.run_events
(
    event_id        String,
    at              DateTime64(3, 'UTC'),
    engine          LowCardinality(String),
    run_id          String,
    workflow        LowCardinality(String),
    task_key        String,
    attempt         UInt16,
    state           LowCardinality(String),
    business_key    String,
    logical_date    Nullable(DateTime64(3, 'UTC')),
    parameters      String,
    trigger         LowCardinality(String),
    parent_run_id   String,
    retry_of        String,
    agent           LowCardinality(String),
    trace_id        String,
    error           String,
    started_at      Nullable(DateTime64(3, 'UTC')),
    finished_at     Nullable(DateTime64(3, 'UTC')),
    ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (workflow, at, run_id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS signalbox.asset_events
(
    event_id        String,
    at              DateTime64(3, 'UTC'),
    recorded_at     DateTime64(3, 'UTC'),
    asset_key       String,
    type            LowCardinality(String),
    run_id          String,
    partition       String,
    detail          String
)
ENGINE = MergeTree
PARTITION BY toDate(recorded_at)
ORDER BY (asset_key, recorded_at)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS signalbox.pool_samples
(
    at              DateTime64(3, 'UTC'),
    pool            LowCardinality(String),
    kind            LowCardinality(String),
    instance        LowCardinality(String),
    server          LowCardinality(String),
    used            UInt32,
    idle            UInt32,
    waiting         UInt32,
    max             UInt32,
    reserved        UInt32,
    timeouts        UInt64,
    holders         String
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (pool, instance, at)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS signalbox.heartbeats
(
    at              DateTime64(3, 'UTC'),
    kind            LowCardinality(String),
    id              String,
    name            LowCardinality(String),
    state           LowCardinality(String),
    running         UInt32,
    interval_ms     UInt32
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (kind, id, at)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS signalbox.lineage_events
(
    at              DateTime64(3, 'UTC'),
    received_at     DateTime64(3, 'UTC'),
    type            LowCardinality(String),
    job_namespace   LowCardinality(String),
    job_name        String,
    run_id          String,
    inputs          Array(String),
    outputs         Array(String),
    event           String
)
ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY (job_namespace, job_name, at)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS signalbox.incident_events
(
    at              DateTime64(3, 'UTC'),
    incident_id     String,
    number          UInt64,
    kind            LowCardinality(String),
    status          LowCardinality(String),
    severity        LowCardinality(String),
    type            LowCardinality(String),
    reason          LowCardinality(String),
    actor           String,
    detail          String
)
ENGINE = MergeTree
PARTITION BY toDate(at)
ORDER BY (incident_id, at)
SETTINGS non_replicated_deduplication_window = 1000;
