-- The code of tasks by its hash, as it was registered last: what a branch changed beside its definitions.
CREATE TABLE signalbox.workflow_code (
    workflow  text PRIMARY KEY,
    -- By key of the task.
    tasks     jsonb NOT NULL
);

-- When the data became what was seen, by the server's clock; null for what was seen before this was kept.
ALTER TABLE signalbox.asset_observation ADD COLUMN changed_at timestamptz;
