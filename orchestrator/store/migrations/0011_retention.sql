-- What is kept for how long, and logs in ranges of time that are dropped as a whole.

-- What people set; a kind without a row has its default.
CREATE TABLE signalbox.retention (
    kind        text PRIMARY KEY,
    -- Null for ever.
    keep_ms     bigint CHECK (keep_ms > 0),
    updated_at  timestamptz NOT NULL,
    updated_by  text NOT NULL
);
CREATE TABLE signalbox.retention_round (
    kind          text PRIMARY KEY,
    -- Where the walk goes on; null at its beginning.
    cursor        text,
    at            timestamptz NOT NULL,
    deleted       bigint NOT NULL DEFAULT 0,
    deleted_ever  bigint NOT NULL DEFAULT 0,
    took_ms       double precision NOT NULL DEFAULT 0,
    error         text
) WITH (fillfactor = 50);

-- The least UUIDv7 of a moment.
CREATE FUNCTION signalbox.id_from(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(greatest(0, floor(extract(epoch FROM at) * 1000))::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE INDEX once_key_held_at ON signalbox.once_key (held_at);

-- Ended runs leave by batches; vacuum keeps up with them by number, not by a share of what is stored.
ALTER TABLE signalbox.run SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- Attempts and steps lie in ranges of run ids, which are ranges of time. What was there before becomes the first
-- range as it is. An id that no range has goes to the default partition.
DO $$
DECLARE
    week_ms CONSTANT bigint := 7 * 86400000::bigint;
    first_end CONSTANT uuid := signalbox.id_from(to_timestamp(
        ((floor(extract(epoch FROM now()) * 1000 / week_ms) + 2) * week_ms / 1000)::float8));
    log text;
    key text;
BEGIN
    FOR log, key IN VALUES ('task_log', 'run_id, task, attempt'), ('step_log', 'run_id, key') LOOP
        EXECUTE format('ALTER TABLE signalbox.%I RENAME TO %I', log, log || '_first');
        EXECUTE format('ALTER INDEX signalbox.%I RENAME TO %I', log || '_pkey', log || '_first_pkey');
        EXECUTE format(
            'CREATE TABLE signalbox.%I (LIKE signalbox.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
                 PRIMARY KEY (%s)) PARTITION BY RANGE (run_id)', log, log || '_first', key);
        EXECUTE format('CREATE TABLE signalbox.%I PARTITION OF signalbox.%I DEFAULT', log || '_other', log);
        EXECUTE format(
            'WITH late AS (DELETE FROM signalbox.%I WHERE run_id >= %L RETURNING *)
             INSERT INTO signalbox.%I SELECT * FROM late', log || '_first', first_end, log || '_other');
        EXECUTE format('ALTER TABLE signalbox.%I ATTACH PARTITION signalbox.%I FOR VALUES FROM (MINVALUE) TO (%L)',
            log, log || '_first', first_end);
    END LOOP;
END $$;
