-- Two agents may have one name, the host's unless told: a fault is of the session that told it. Empty of those from
-- before, and of what no agent told.
ALTER TABLE signalbox.workflow_file_error ADD COLUMN session text NOT NULL DEFAULT '';
ALTER TABLE signalbox.workflow_file_error DROP CONSTRAINT workflow_file_error_pkey;
ALTER TABLE signalbox.workflow_file_error ADD PRIMARY KEY (file, agent, session);
