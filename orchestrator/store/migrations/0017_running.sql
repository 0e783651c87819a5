-- What keeps running workflows bounded, and what is told of them.

-- Counted once, so that lists need not read graphs; null of versions from before.
ALTER TABLE signalbox.workflow_version ADD COLUMN task_count int;
-- When it was last the version of a workflow, or asked for by what makes runs: it goes when no run needs it any more.
ALTER TABLE signalbox.workflow_version ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX workflow_version_used ON signalbox.workflow_version (last_used_at);

-- A fault of a file is told by each agent that reads the file, and goes with the next word of the same agent.
ALTER TABLE signalbox.workflow_file_error ADD COLUMN agent text NOT NULL DEFAULT '';
ALTER TABLE signalbox.workflow_file_error DROP CONSTRAINT workflow_file_error_pkey;
ALTER TABLE signalbox.workflow_file_error ADD PRIMARY KEY (file, agent);
-- Of a name that two agents define in two files: the other agent. It is told while that one is there.
ALTER TABLE signalbox.workflow_file_error ADD COLUMN other_agent text;
-- The agent that told the definition last.
ALTER TABLE signalbox.workflow ADD COLUMN agent text;

-- Dates that a backfill made good, and by which run. How many events a row stands for (what a paused workflow passed
-- over is one row a pause).
ALTER TABLE signalbox.expected_run ADD COLUMN made_good_at timestamptz;
ALTER TABLE signalbox.expected_run ADD COLUMN made_good_by uuid;
ALTER TABLE signalbox.expected_run ADD COLUMN events int;

-- What happens to events that come while the workflow is paused: 'latest', 'all' or 'skip'.
ALTER TABLE signalbox.workflow_on ADD COLUMN while_paused text NOT NULL DEFAULT 'latest'
    CHECK (while_paused IN ('latest', 'all', 'skip'));
-- Runs that wait until their workflow is no longer paused.
CREATE TABLE signalbox.workflow_on_queued (
    workflow  text NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    -- Idempotency key of the run.
    key       text NOT NULL,
    causes    jsonb NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (workflow, id)
);

-- Suspended tasks that wait for a run which they started: they are woken when it has ended.
CREATE TABLE signalbox.subflow_wait (
    run_id        uuid NOT NULL,
    task          int NOT NULL,
    child_run_id  uuid NOT NULL,
    PRIMARY KEY (run_id, task, child_run_id)
);
CREATE INDEX subflow_wait_by_child ON signalbox.subflow_wait (child_run_id);

CREATE INDEX callback_old ON signalbox.callback (created_at);
CREATE INDEX deadline_miss_old ON signalbox.deadline_miss (noticed_at);
CREATE INDEX result_cache_old ON signalbox.result_cache (created_at) WHERE expires_at IS NULL;
