-- Runs that something else asks for: backfills, sensors, ends of other runs; and flows that wait without an agent.

-- Runs of a date are looked for by it. Only runs that have one are in the index.
CREATE INDEX run_by_logical_date ON signalbox.run (workflow, logical_date) WHERE logical_date IS NOT NULL;

-- Who asked for a run, where that was no person and no schedule: {"kind": …} and what its kind tells.
CREATE TABLE signalbox.run_origin (
    run_id  uuid PRIMARY KEY,
    origin  jsonb NOT NULL
);

-- Backfills -------------------------------------------------------------------------------------------------

CREATE TABLE signalbox.backfill (
    id               uuid PRIMARY KEY,
    workflow         text NOT NULL,
    -- Nothing new starts but in 'running'; 'cancelling' until what runs has ended.
    state            text NOT NULL
        CHECK (state IN ('running', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    -- Instants; the items start in [from_at, to_at).
    from_at          timestamptz NOT NULL,
    to_at            timestamptz NOT NULL,
    run_order        text NOT NULL CHECK (run_order IN ('oldest-first', 'newest-first')),
    concurrency      int NOT NULL CHECK (concurrency > 0),
    priority         smallint NOT NULL,
    rerun            text NOT NULL CHECK (rerun IN ('missing', 'failed', 'all')),
    parameters       jsonb NOT NULL DEFAULT '{}',
    idempotency_key  text,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    -- Why it stopped by itself.
    error            text
);
CREATE INDEX backfill_by_workflow ON signalbox.backfill (workflow, id DESC);
CREATE INDEX backfill_open ON signalbox.backfill (id) WHERE state IN ('running', 'paused', 'cancelling');
CREATE UNIQUE INDEX backfill_by_key ON signalbox.backfill (workflow, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- One run to make each, in the order of `seq`.
CREATE TABLE signalbox.backfill_item (
    backfill_id     uuid NOT NULL REFERENCES signalbox.backfill (id) ON DELETE CASCADE,
    seq             int NOT NULL,
    -- Names the piece of work: the start of its interval, or its partition.
    key             text NOT NULL,
    logical_date    timestamptz,
    interval_start  timestamptz,
    interval_end    timestamptz,
    partition       text,
    -- pending, running, then as its run ended; 'skipped' where a run of it was there already.
    state           text NOT NULL DEFAULT 'pending',
    -- Runs that were made for it; part of their idempotency keys.
    tries           int NOT NULL DEFAULT 0,
    run_id          uuid,
    PRIMARY KEY (backfill_id, seq)
);
CREATE INDEX backfill_item_open ON signalbox.backfill_item (backfill_id, state, seq)
    WHERE state IN ('pending', 'running');
CREATE INDEX backfill_item_by_run ON signalbox.backfill_item (run_id) WHERE run_id IS NOT NULL;

-- Sensors ---------------------------------------------------------------------------------------------------

CREATE TABLE signalbox.sensor (
    name            text PRIMARY KEY,
    file            text NOT NULL DEFAULT '',
    description     text,
    queue           text NOT NULL,
    version         text NOT NULL,
    -- Workflow that its runs are of unless they name another; null where each names its own.
    triggers        text,
    every_ms        int NOT NULL,
    timeout_ms      int NOT NULL,
    -- False for one without code: its events start the workflow straight.
    has_code        boolean NOT NULL,
    paused          boolean NOT NULL DEFAULT false,
    cursor          text,
    state           jsonb,
    next_look_at    timestamptz NOT NULL,
    -- The look under way.
    session_id      bigint,
    token           bigint,
    held_until      timestamptz,
    last_look_at    timestamptz,
    last_error      jsonb,
    -- Looks that failed since the last one that did not.
    failures        int NOT NULL DEFAULT 0,
    skip_reason     text,
    -- The newest runs: [{"runId","workflow","key","at"}].
    last_runs       jsonb NOT NULL DEFAULT '[]',
    registered_at   timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
CREATE INDEX sensor_due ON signalbox.sensor (next_look_at) WHERE has_code AND NOT paused;

CREATE TABLE signalbox.sensor_event (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sensor    text NOT NULL,
    key       text NOT NULL,
    body      jsonb,
    at        timestamptz NOT NULL,
    -- waiting, done, refused (the sensor failed with it again and again)
    state     text NOT NULL DEFAULT 'waiting',
    attempts  smallint NOT NULL DEFAULT 0,
    error     text,
    run_id    uuid,
    UNIQUE (sensor, key)
);
CREATE INDEX sensor_event_waiting ON signalbox.sensor_event (sensor, id) WHERE state = 'waiting';
CREATE INDEX sensor_event_old ON signalbox.sensor_event (at) WHERE state <> 'waiting';

-- Runs after runs and after assets --------------------------------------------------------------------------

CREATE TABLE signalbox.workflow_on (
    workflow    text PRIMARY KEY,
    -- 'any': each condition that comes true starts a run; 'all': when all have come true since the last run.
    match       text NOT NULL CHECK (match IN ('any', 'all')),
    conditions  jsonb NOT NULL
);
-- Conditions of a workflow with 'all' that have come true since its last run.
CREATE TABLE signalbox.workflow_on_met (
    workflow   text NOT NULL,
    condition  text NOT NULL,
    event_key  text NOT NULL,
    cause      jsonb NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (workflow, condition)
);

-- Flows that wait -------------------------------------------------------------------------------------------

-- A live task in state 4 waits without an agent until `ready_at`, or until it is woken.
CREATE INDEX task_live_suspended ON signalbox.task_live (ready_at) WHERE state = 4;

CREATE TABLE signalbox.flow_event (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text NOT NULL,
    correlation      text NOT NULL DEFAULT '',
    -- The one run that it is for; null where every run that waits for the name may take it.
    run_id           uuid,
    body             jsonb,
    at               timestamptz NOT NULL,
    sent_by          text NOT NULL,
    idempotency_key  text
);
CREATE INDEX flow_event_by_name ON signalbox.flow_event (name, correlation, id) WHERE run_id IS NULL;
CREATE INDEX flow_event_by_run ON signalbox.flow_event (run_id, name, id) WHERE run_id IS NOT NULL;
CREATE INDEX flow_event_old ON signalbox.flow_event (at);
CREATE UNIQUE INDEX flow_event_once ON signalbox.flow_event (name, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE signalbox.flow_wait (
    run_id       uuid NOT NULL,
    key          text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('event', 'input')),
    -- Of an event.
    name         text NOT NULL DEFAULT '',
    correlation  text NOT NULL DEFAULT '',
    -- Of an input: what the person is asked, and what the answer must be like.
    message      text,
    schema       jsonb,
    created_at   timestamptz NOT NULL,
    deadline     timestamptz,
    -- waiting, answered, timed-out
    state        text NOT NULL DEFAULT 'waiting',
    result       jsonb,
    event_id     bigint,
    answered_at  timestamptz,
    answered_by  text,
    PRIMARY KEY (run_id, key)
);
CREATE INDEX flow_wait_for_event ON signalbox.flow_wait (name, correlation)
    WHERE state = 'waiting' AND kind = 'event';
CREATE INDEX flow_wait_for_input ON signalbox.flow_wait (created_at) WHERE state = 'waiting' AND kind = 'input';
