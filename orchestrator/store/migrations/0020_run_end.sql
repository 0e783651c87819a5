-- What lists need of a run's state, apart from the state itself: null for a run that is under way or has succeeded.
-- So nothing that an index has changes when a run succeeds, and its end is written into the page where the run stands
-- (a HOT update), without a new entry in any index. Successes are nearly all of what lists show; they need none.
ALTER TABLE signalbox.run ADD COLUMN other_state text
    GENERATED ALWAYS AS (CASE WHEN state NOT IN ('active', 'succeeded') THEN state END) STORED;
DROP INDEX signalbox.run_by_state;
DROP INDEX signalbox.run_not_succeeded;
CREATE INDEX run_by_other_state ON signalbox.run (other_state, id DESC) WHERE other_state IS NOT NULL;
CREATE INDEX run_by_workflow_and_other_state ON signalbox.run (workflow, other_state, id DESC)
    WHERE other_state IS NOT NULL;
-- Room for the ends of a third of a page's runs before those of a first batch are cleared away.
ALTER TABLE signalbox.run SET (fillfactor = 65);
