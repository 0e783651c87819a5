-- What agents define: each set of names and versions once, however many sessions have it. A session that has none is
-- of a server from before, and is taken to define everything.
CREATE TABLE signalbox.definition_set (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of what it holds.
    digest    text NOT NULL UNIQUE,
    names     text[] NOT NULL,
    -- Of each name the version that is defined.
    versions  text[] NOT NULL,
    used_at   timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE signalbox.agent_session ADD COLUMN definitions bigint;
