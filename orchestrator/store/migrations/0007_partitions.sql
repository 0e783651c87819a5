-- Partitions of assets, versions of their code and data, and tasks of workflows that make or read assets.

ALTER TABLE signalbox.asset ADD COLUMN partitions jsonb;
-- 'each' or 'range': whether one run may make many partitions.
ALTER TABLE signalbox.asset ADD COLUMN partition_runs text NOT NULL DEFAULT 'each';
ALTER TABLE signalbox.asset ADD COLUMN code_version text;
-- Of a partitioned asset, what its rows in asset_partition add up to; kept by whoever changes them, under the lock
-- of the asset's row. `complete_at`: event time up to which nothing that was made is missing.
ALTER TABLE signalbox.asset ADD COLUMN partitions_made int NOT NULL DEFAULT 0;
ALTER TABLE signalbox.asset ADD COLUMN partitions_failed int NOT NULL DEFAULT 0;
ALTER TABLE signalbox.asset ADD COLUMN complete_at timestamptz;
-- The version that was recorded last, of whichever partition.
ALTER TABLE signalbox.asset ADD COLUMN last_id uuid;

-- Which partitions of the upstream; null where the definitions tell.
ALTER TABLE signalbox.asset_edge ADD COLUMN mapping jsonb;

ALTER TABLE signalbox.materialization ADD COLUMN data_version text;
ALTER TABLE signalbox.materialization ADD COLUMN code_version text;
-- [[asset, partition, id, data version], …] of what it was made from.
ALTER TABLE signalbox.materialization ADD COLUMN inputs jsonb;
CREATE INDEX materialization_by_partition ON signalbox.materialization (asset_key, partition, id DESC)
    WHERE partition IS NOT NULL;

-- The newest version of each partition, and its last failure. Its value is here and not in `materialization`, so
-- that the next one takes its place.
CREATE TABLE signalbox.asset_partition (
    asset_key     text NOT NULL,
    partition     text NOT NULL,
    -- Null where it was never made.
    version_id    uuid,
    at            timestamptz,
    recorded_at   timestamptz,
    run_id        uuid,
    -- Made from a fallback.
    degraded      boolean NOT NULL DEFAULT false,
    data_version  text,
    code_version  text,
    value         jsonb,
    -- End of the time that it is of.
    end_at        timestamptz,
    failed_at     timestamptz,
    failed_run    uuid,
    failure       jsonb,
    -- The definition, or its list, has no such key any more; it counts for nothing.
    gone          boolean NOT NULL DEFAULT false,
    PRIMARY KEY (asset_key, partition)
) WITH (fillfactor = 80);
CREATE INDEX asset_partition_failed ON signalbox.asset_partition (asset_key) WHERE failed_at IS NOT NULL;

-- Partitions that a run makes: {asset: [key, …]}; under '*' those of the workflow.
CREATE TABLE signalbox.run_partition (
    run_id      uuid PRIMARY KEY,
    partitions  jsonb NOT NULL
);

-- Keys of lists that grow while the system runs.
CREATE TABLE signalbox.dynamic_partition (
    name      text NOT NULL,
    key       text NOT NULL,
    place     bigint GENERATED ALWAYS AS IDENTITY,
    added_at  timestamptz NOT NULL,
    added_by  text NOT NULL,
    PRIMARY KEY (name, key)
);

CREATE TABLE signalbox.asset_task (
    asset_key  text NOT NULL,
    workflow   text NOT NULL,
    task       text NOT NULL,
    role       text NOT NULL CHECK (role IN ('produces', 'consumes')),
    PRIMARY KEY (asset_key, workflow, task, role)
);
CREATE INDEX asset_task_by_workflow ON signalbox.asset_task (workflow);
