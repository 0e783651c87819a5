-- What became of mapped tasks: [[task, first, count, stamp], …]. Its instances stand behind the graph's own tasks in
-- the run's vector, from `first` on. `first` is -1 where the list could not be used: `count` is its length then, or
-- -1 where it was no list. `run_live` has it for who completes tasks, `run` for who reads ended runs.
ALTER TABLE signalbox.run_live ADD COLUMN expanded jsonb;
ALTER TABLE signalbox.run ADD COLUMN expanded jsonb;

-- Of a run that goes on after its end, or whose tasks were cleared: [[task, attempt], …] of those that had attempts
-- before, so that their next ones go on counting.
ALTER TABLE signalbox.run_live ADD COLUMN last_attempts jsonb;
