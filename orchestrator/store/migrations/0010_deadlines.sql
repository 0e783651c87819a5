-- Deadlines of runs and tasks, and callbacks. Only workflows that declare any have rows here; a run's rows are made in
-- the transaction that makes the run, and looked at when they are due.

CREATE TABLE signalbox.workflow_deadline (
    workflow        text NOT NULL,
    -- Index into the deadlines of the workflow's definition.
    place           int NOT NULL,
    definition      jsonb NOT NULL,
    -- Since when it is declared: what was due before is not late.
    since           timestamptz NOT NULL,
    schedule        jsonb,
    -- The date of the schedule whose run is looked for next, and when it must have ended.
    next_due_at     timestamptz,
    interval_start  timestamptz,
    interval_end    timestamptz,
    PRIMARY KEY (workflow, place)
);
CREATE INDEX workflow_deadline_due ON signalbox.workflow_deadline (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE signalbox.deadline (
    run_id  uuid NOT NULL,
    -- Index into the deadlines of the run's version.
    place   int NOT NULL,
    -- When to look: its moment, or the earliest that its moment can be.
    due_at  timestamptz NOT NULL,
    PRIMARY KEY (run_id, place)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX deadline_due ON signalbox.deadline (due_at);

CREATE TABLE signalbox.deadline_miss (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What was late: it is recorded once.
    key           text NOT NULL UNIQUE,
    workflow      text NOT NULL,
    run_id        uuid,
    task          int,
    task_key      text,
    name          text NOT NULL,
    logical_date  timestamptz,
    due_at        timestamptz NOT NULL,
    noticed_at    timestamptz NOT NULL,
    reason        text NOT NULL,
    blockers      jsonb NOT NULL DEFAULT '[]',
    detail        text NOT NULL,
    on_miss       text NOT NULL,
    acted_at      timestamptz,
    action_error  text,
    ended_at      timestamptz,
    end_state     text
);
CREATE INDEX deadline_miss_by_workflow ON signalbox.deadline_miss (workflow, id DESC);
CREATE INDEX deadline_miss_by_run ON signalbox.deadline_miss (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX deadline_miss_open ON signalbox.deadline_miss (run_id) WHERE ended_at IS NULL AND run_id IS NOT NULL;
CREATE INDEX deadline_miss_to_act ON signalbox.deadline_miss (id)
    WHERE on_miss <> 'record' AND acted_at IS NULL AND run_id IS NOT NULL;

CREATE TABLE signalbox.workflow_callback (
    workflow   text PRIMARY KEY,
    callbacks  jsonb NOT NULL
);

CREATE TABLE signalbox.callback (
    key              text PRIMARY KEY,
    workflow         text NOT NULL,
    -- Text, since what never came has a name in place of an id.
    run_id           text NOT NULL,
    callback         text NOT NULL,
    event            jsonb NOT NULL,
    -- Of code: the run that runs it, whose state is the callback's.
    callback_run_id  uuid,
    -- Of a webhook: pending until it is delivered or given up.
    url              text,
    state            text NOT NULL DEFAULT 'pending',
    attempts         int NOT NULL DEFAULT 0,
    next_at          timestamptz,
    error            text,
    created_at       timestamptz NOT NULL,
    ended_at         timestamptz
);
CREATE INDEX callback_by_run ON signalbox.callback (run_id, created_at);
CREATE INDEX callback_to_send ON signalbox.callback (next_at) WHERE state = 'pending' AND url IS NOT NULL;
