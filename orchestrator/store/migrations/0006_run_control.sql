-- What people do to runs by hand: pausing, clearing, marking, cancelling single tasks.

-- A paused run starts nothing new. Its rows of task_live that do not run carry their state plus 10 meanwhile, so
-- that neither claims nor retries see them.
ALTER TABLE signalbox.run_live ADD COLUMN paused_at timestamptz;
ALTER TABLE signalbox.run_live ADD COLUMN paused_by text;
CREATE INDEX run_live_paused ON signalbox.run_live (run_id) WHERE paused_at IS NOT NULL;

-- Assignments that were taken away while they ran (cleared, marked, cancelled by hand): their tokens hold nothing
-- any more, and their agents are told to stop until they have surely heard of it.
CREATE TABLE signalbox.task_revoked (
    session_id  bigint NOT NULL,
    token       bigint NOT NULL,
    run_id      uuid NOT NULL,
    task        int NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session_id, token)
);
CREATE INDEX task_revoked_old ON signalbox.task_revoked (at);

-- Who did what to a run, and why.
CREATE TABLE signalbox.run_action (
    id       bigint GENERATED ALWAYS AS IDENTITY,
    run_id   uuid NOT NULL,
    at       timestamptz NOT NULL,
    actor    text NOT NULL,
    -- clear, mark, pause, resume, cancel, retry
    action   text NOT NULL,
    reason   text,
    detail   jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, id)
);
