-- Limits on how many tasks run at a time, beside pools and queues. Each is a gate with a name; a task that has some
-- (`gates`, the narrowest first) waits at one after the other in state 6 and holds those that it has passed
-- (`gates_held`) until its attempt ends. What is held is nothing but columns of the row that runs: when the row goes,
-- or no longer runs, the gate is free, whatever ended it.
ALTER TABLE signalbox.task_live ADD COLUMN gates text[];
-- How many may hold each gate, in the order of `gates`.
ALTER TABLE signalbox.task_live ADD COLUMN gate_limits int[];
ALTER TABLE signalbox.task_live ADD COLUMN gates_held text[];
-- The one that it waits at.
ALTER TABLE signalbox.task_live ADD COLUMN gate text;
-- Labels that an agent must have to be given the task ('gpu=true'); it is ready in state 7 then.
ALTER TABLE signalbox.task_live ADD COLUMN labels text[];
CREATE INDEX task_live_gate ON signalbox.task_live (gate, priority DESC, ready_at) WHERE state = 6;
CREATE INDEX task_live_gates_held ON signalbox.task_live USING gin (gates_held) WITH (fastupdate = off)
    WHERE gates_held IS NOT NULL;
CREATE INDEX task_live_labels ON signalbox.task_live (queue, labels, priority DESC, ready_at) WHERE state = 7;

-- Gates that somebody should look at: one was left, or came to. Written in the transaction of the change.
CREATE TABLE signalbox.gate_due (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gate  text NOT NULL
);

-- Sets of labels that tasks ever asked for.
CREATE TABLE signalbox.label_set (labels text[] PRIMARY KEY);

CREATE FUNCTION signalbox.gate_task() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  held text[] := coalesce(NEW.gates_held, '{}');
BEGIN
  IF NEW.state IN (1, 6, 7) THEN
    IF NEW.gates IS NOT NULL AND cardinality(held) < cardinality(NEW.gates) THEN
      NEW.state := 6;
      NEW.gate := NEW.gates[cardinality(held) + 1];
      INSERT INTO signalbox.gate_due (gate) VALUES (NEW.gate);
    ELSE
      NEW.gate := NULL;
      NEW.state := CASE WHEN NEW.labels IS NULL THEN 1 ELSE 7 END;
    END IF;
    IF NEW.labels IS NOT NULL AND NOT EXISTS (SELECT FROM signalbox.label_set s WHERE s.labels = NEW.labels) THEN
      INSERT INTO signalbox.label_set VALUES (NEW.labels) ON CONFLICT DO NOTHING;
    END IF;
  ELSIF NEW.state <> 2 THEN
    INSERT INTO signalbox.gate_due (gate) SELECT unnest(held);
    NEW.gates_held := NULL;
    NEW.gate := NULL;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION signalbox.leave_gates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO signalbox.gate_due (gate) SELECT unnest(OLD.gates_held);
  RETURN NULL;
END $$;

CREATE TRIGGER gate_new_task BEFORE INSERT ON signalbox.task_live FOR EACH ROW
  WHEN (NEW.gates IS NOT NULL OR NEW.labels IS NOT NULL) EXECUTE FUNCTION signalbox.gate_task();
CREATE TRIGGER gate_changed_task BEFORE UPDATE OF state ON signalbox.task_live FOR EACH ROW
  WHEN (NEW.gates IS NOT NULL OR NEW.labels IS NOT NULL) EXECUTE FUNCTION signalbox.gate_task();
CREATE TRIGGER leave_gates AFTER DELETE ON signalbox.task_live FOR EACH ROW
  WHEN (OLD.gates_held IS NOT NULL) EXECUTE FUNCTION signalbox.leave_gates();

-- Runs that have a concurrency key: those that work hold it, the others wait as `scheduled`. A row of a run that has
-- ended counts for nothing and goes when somebody looks.
CREATE TABLE signalbox.run_key (
    run_id     uuid PRIMARY KEY,
    workflow   text NOT NULL,
    key        text NOT NULL,
    max        int NOT NULL,
    priority   smallint NOT NULL,
    held       boolean NOT NULL
);
CREATE INDEX run_key_waiting ON signalbox.run_key (workflow, key, priority DESC, run_id) WHERE NOT held;
CREATE INDEX run_key_held ON signalbox.run_key (key) WHERE held;

-- Labels of an agent's session ('gpu=true').
ALTER TABLE signalbox.agent_session ADD COLUMN labels text[];

-- Agents that serve several queues take from the higher one first. The queue `*` limits all of them together.
ALTER TABLE signalbox.queue ADD COLUMN priority int NOT NULL DEFAULT 0;
-- So many tasks may start in so many milliseconds: a bucket that holds as many at most, and fills evenly.
ALTER TABLE signalbox.queue ADD COLUMN rate_count int;
ALTER TABLE signalbox.queue ADD COLUMN rate_per_ms int;
ALTER TABLE signalbox.queue ADD COLUMN rate_tokens float8;
ALTER TABLE signalbox.queue ADD COLUMN rate_at timestamptz;
