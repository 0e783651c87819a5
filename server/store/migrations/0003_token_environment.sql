-- A token of an agent may be limited to one environment.
ALTER TABLE signalbox.api_token ADD COLUMN environment text;
