-- A run may wait for several others: once the one in after_run_id is over, one of these takes its place.
ALTER TABLE signalbox.run_hold ADD COLUMN also uuid[];
