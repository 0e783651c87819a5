-- Declarative automation of assets: the conditions, what the last look at each asset (or partition) found, and each
-- look that found something else than the one before.

CREATE TABLE signalbox.asset_automation (
    asset_key     text PRIMARY KEY,
    -- As `AutomationDefinition`.
    definition    jsonb NOT NULL,
    -- Of the condition: what a look remembers under another one means nothing any more.
    hash          text NOT NULL,
    -- {"cron timezone": milliseconds}: since when each cron of the condition counts.
    crons         jsonb NOT NULL DEFAULT '{}',
    paused_at     timestamptz,
    paused_by     text,
    -- When it is looked at without an event.
    next_at       timestamptz NOT NULL,
    -- Of the latest look, for lists: pending, requested, held, idle, error.
    state         text NOT NULL DEFAULT 'pending',
    reason        jsonb,
    held          int NOT NULL DEFAULT 0,
    held_since    timestamptz,
    overdue       boolean NOT NULL DEFAULT false,
    error         text,
    evaluated_at  timestamptz,
    last_request  jsonb,
    updated_at    timestamptz NOT NULL
);
CREATE INDEX asset_automation_due ON signalbox.asset_automation (next_at);

-- The latest look at an asset, or at each of its partitions ('' for one whole), and what the next one compares with.
CREATE TABLE signalbox.automation_state (
    asset_key   text NOT NULL,
    partition   text NOT NULL,
    memory      jsonb NOT NULL,
    decision    text NOT NULL,
    evaluation  jsonb NOT NULL,
    -- Hashes of what was found, and of what is remembered: what has not changed is not written, nor read.
    sig         text NOT NULL,
    memory_sig  text NOT NULL,
    since       timestamptz NOT NULL,
    held_since  timestamptz,
    told_at     timestamptz,
    PRIMARY KEY (asset_key, partition)
);

CREATE TABLE signalbox.automation_evaluation (
    id          uuid PRIMARY KEY,
    asset_key   text NOT NULL,
    partition   text NOT NULL,
    at          timestamptz NOT NULL,
    decision    text NOT NULL,
    evaluation  jsonb NOT NULL,
    run_id      uuid
);
CREATE INDEX automation_evaluation_by_asset ON signalbox.automation_evaluation (asset_key, id DESC);

-- At most one row: automation as a whole is paused.
CREATE TABLE signalbox.automation_pause (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    at   timestamptz NOT NULL,
    by   text NOT NULL
);
