-- The audit trail is append-only but for its age: what is older than it is kept goes by this function alone, and
-- which leaves alone what is younger than 90 days whatever it is asked.

CREATE OR REPLACE FUNCTION signalbox.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND pg_trigger_depth() = 1
        AND current_setting('signalbox.audit_retention', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;

CREATE FUNCTION signalbox.delete_old_audit(before timestamptz, most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    deleted bigint;
BEGIN
    PERFORM set_config('signalbox.audit_retention', 'on', true);
    DELETE FROM signalbox.audit WHERE id IN (
        SELECT id FROM (SELECT id, at FROM signalbox.audit ORDER BY id LIMIT most) oldest
        WHERE at < least(before, now() - interval '90 days'));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM set_config('signalbox.audit_retention', 'off', true);
    RETURN deleted;
END $$;
