-- What lists need to stay quick with a long history behind them. Nothing here is touched by a run that succeeds.

-- Runs of one workflow that ended badly: through the index by state alone all of the others' would be read.
CREATE INDEX run_not_succeeded ON signalbox.run (workflow, state, id DESC)
    WHERE state IN ('failed', 'cancelled', 'skipped');
CREATE INDEX artifact_by_kind ON signalbox.artifact (kind, id DESC);
CREATE INDEX deadline_miss_not_over ON signalbox.deadline_miss (id DESC) WHERE ended_at IS NULL;
CREATE INDEX agent_session_ended ON signalbox.agent_session (ended_at) WHERE ended_at IS NOT NULL;
