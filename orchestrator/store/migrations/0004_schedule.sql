-- What schedules called for, and what became of it.

-- End of the interval that the next run is for; null where it is `next_run_at` itself (no jitter).
ALTER TABLE signalbox.workflow ADD COLUMN next_interval_end timestamptz;
-- When it was paused last, and when that ended: what was passed over between these was not missed.
ALTER TABLE signalbox.workflow ADD COLUMN paused_at timestamptz;
ALTER TABLE signalbox.workflow ADD COLUMN unpaused_at timestamptz;

-- One row for each run that a schedule called for, written with the run, or with the decision that there is none.
CREATE TABLE signalbox.expected_run (
    workflow       text NOT NULL,
    logical_date   timestamptz NOT NULL,
    interval_end   timestamptz NOT NULL,
    due_at         timestamptz NOT NULL,
    outcome        text NOT NULL CHECK (outcome IN ('run', 'skipped', 'dropped', 'missed')),
    run_id         uuid,
    reason         text,
    -- Where very many were passed over: the first logical date of those that this row stands for.
    since          timestamptz,
    noticed_at     timestamptz NOT NULL,
    PRIMARY KEY (workflow, logical_date)
);
CREATE INDEX expected_run_by_date ON signalbox.expected_run (logical_date DESC, workflow DESC);
CREATE INDEX expected_run_without ON signalbox.expected_run (outcome, logical_date DESC, workflow DESC)
    WHERE outcome <> 'run';
CREATE INDEX expected_run_noticed ON signalbox.expected_run (noticed_at);

-- Scheduled runs that wait for the run of the logical date before; the row goes when that one has succeeded.
CREATE TABLE signalbox.run_hold (
    run_id        uuid PRIMARY KEY,
    workflow      text NOT NULL,
    after_run_id  uuid NOT NULL,
    since         timestamptz NOT NULL
);
CREATE INDEX run_hold_by_workflow ON signalbox.run_hold (workflow);

-- Runs that a newer one of their schedule replaces; the row goes once their cancellation was asked for.
CREATE TABLE signalbox.run_superseded (
    run_id      uuid PRIMARY KEY,
    by_run_id   uuid NOT NULL
);
-- Tasks that wait for themselves in the run before.
CREATE INDEX task_live_past ON signalbox.task_live (run_id) WHERE state = 5;
-- The scheduled runs of a workflow by logical date, for what depends on the one before.
CREATE INDEX run_scheduled ON signalbox.run (workflow, logical_date DESC) WHERE trigger = 'schedule';
