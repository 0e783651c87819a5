-- Where IO managers keep versions, what checks said over time, and observations of data made elsewhere.

-- {"kind","location","rows","sizeBytes","schema","stream"}; null where the value is in this database.
ALTER TABLE signalbox.materialization ADD COLUMN stored jsonb;

ALTER TABLE signalbox.asset ADD COLUMN io text;
-- Made elsewhere, and looked at from here.
ALTER TABLE signalbox.asset ADD COLUMN observed boolean NOT NULL DEFAULT false;
-- Event time that the newest observation saw, and the data's version then.
ALTER TABLE signalbox.asset ADD COLUMN observed_at timestamptz;
ALTER TABLE signalbox.asset ADD COLUMN observation_id uuid;

ALTER TABLE signalbox.asset_check ADD COLUMN severity text NOT NULL DEFAULT 'error';

-- Every word of every check; `asset_check` has the latest of each.
CREATE TABLE signalbox.asset_check_result (
    id         uuid PRIMARY KEY,
    asset_key  text NOT NULL,
    name       text NOT NULL,
    passed     boolean NOT NULL,
    severity   text NOT NULL,
    blocking   boolean NOT NULL,
    at         timestamptz NOT NULL,
    run_id     uuid,
    metadata   jsonb NOT NULL
);
CREATE INDEX asset_check_result_by_asset ON signalbox.asset_check_result (asset_key, id DESC);
CREATE INDEX asset_check_result_by_name ON signalbox.asset_check_result (asset_key, name, id DESC);

-- Checks that stand by themselves, of assets of any file.
CREATE TABLE signalbox.asset_check_definition (
    asset_key   text NOT NULL,
    name        text NOT NULL,
    blocking    boolean NOT NULL,
    severity    text NOT NULL,
    -- Its own definition, and its node of a graph.
    workflow    text NOT NULL,
    task        jsonb NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (asset_key, name)
);

CREATE TABLE signalbox.asset_observation (
    id               uuid PRIMARY KEY,
    asset_key        text NOT NULL,
    -- Event time of the data; null where nobody says.
    at               timestamptz,
    recorded_at      timestamptz NOT NULL,
    run_id           uuid,
    data_version     text,
    metadata         jsonb NOT NULL,
    idempotency_key  text
);
CREATE INDEX asset_observation_by_asset ON signalbox.asset_observation (asset_key, id DESC);
CREATE UNIQUE INDEX asset_observation_once ON signalbox.asset_observation (asset_key, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
