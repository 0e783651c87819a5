-- Who may do what, who did what, and which server runs which background step.

CREATE SCHEMA IF NOT EXISTS signalbox;

-- Tokens are 256 random bits, so that a plain hash is enough: there is nothing to guess.
CREATE TABLE signalbox.api_token (
    hash         bytea PRIMARY KEY,
    name         text NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'ingest', 'metrics', 'agent')),
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
-- A name is one actor in the audit trail; it is free again once its token is revoked.
CREATE UNIQUE INDEX api_token_name ON signalbox.api_token (name) WHERE revoked_at IS NULL;

-- The link that a start prints: used once, or over after its time.
CREATE TABLE signalbox.login_code (
    hash       bytea PRIMARY KEY,
    name       text NOT NULL,
    role       text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE TABLE signalbox.web_session (
    hash       bytea PRIMARY KEY,
    name       text NOT NULL,
    role       text NOT NULL,
    -- Token that it was opened with; it ends with that token.
    token_hash bytea REFERENCES signalbox.api_token (hash) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX web_session_expires ON signalbox.web_session (expires_at);

CREATE TABLE signalbox.audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    role    text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    outcome text NOT NULL,
    status  int NOT NULL,
    request text NOT NULL
);

CREATE FUNCTION signalbox.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON signalbox.audit
    FOR EACH STATEMENT EXECUTE FUNCTION signalbox.refuse_audit_change();

-- One row a background step; its holder runs it and renews, anybody takes it over after its end.
CREATE TABLE signalbox.reconciler_lease (
    name        text PRIMARY KEY,
    holder      text NOT NULL,
    expires_at  timestamptz NOT NULL,
    acquired_at timestamptz NOT NULL DEFAULT now()
);
