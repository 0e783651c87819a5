-- A lease for each run in place of a row for each task that is handed straight on: what the holder runs of the
-- run's tasks stands packed in the run's own live row, so that such a task costs one row of task_log and a share
-- of one change of run_live.

-- The session that runs what `held` names; null where it is empty. It changes about once a run.
ALTER TABLE signalbox.run_live ADD COLUMN holder bigint;
-- Entries of 34 bytes (`orchestrator/store/held.ts`).
ALTER TABLE signalbox.run_live ADD COLUMN held bytea;
ALTER TABLE signalbox.run_live ALTER COLUMN held SET STORAGE EXTERNAL;
CREATE INDEX run_live_holder ON signalbox.run_live (holder) WHERE holder IS NOT NULL;

-- Ready tasks of a run that are alike share a row: `task` is the first, these are the others (four bytes each).
ALTER TABLE signalbox.task_live ADD COLUMN more bytea;
ALTER TABLE signalbox.task_live ALTER COLUMN more SET STORAGE EXTERNAL;

-- Texts of events are read once and deleted soon; packing them would cost more than it saves.
ALTER TABLE signalbox.event_batch ALTER COLUMN events SET STORAGE EXTERNAL;

-- Ends the transaction where what was taken for so is not so.
CREATE FUNCTION signalbox.require(ok boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF ok IS NOT TRUE THEN
    RAISE EXCEPTION 'the rows are not as they were' USING ERRCODE = 'SB001';
  END IF;
END $$;
