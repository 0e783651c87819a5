-- Environments of branches. What lives in one has names that begin with `~NAME~`; nothing else knows of it.

CREATE TABLE signalbox.environment (
    name          text PRIMARY KEY,
    state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'deleting')),
    created_by    text NOT NULL,
    created_at    timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    -- It is deleted so long after it was seen last; null for never.
    ttl_ms        bigint CHECK (ttl_ms > 0),
    labels        jsonb NOT NULL DEFAULT '{}',
    settings      jsonb NOT NULL DEFAULT '{}',
    -- Since when it is being deleted, and by whom.
    deleting_at   timestamptz,
    deleted_by    text
);

-- What the agents of an environment define now, as their code says it; `workflow` has it with other names.
CREATE TABLE signalbox.environment_definition (
    environment    text NOT NULL REFERENCES signalbox.environment (name) ON DELETE CASCADE,
    agent          text NOT NULL,
    name           text NOT NULL,
    version        text NOT NULL,
    definition     jsonb NOT NULL,
    registered_at  timestamptz NOT NULL,
    PRIMARY KEY (environment, agent, name)
);

-- Versions of production's that runs of environments read.
CREATE TABLE signalbox.environment_read (
    run_id       uuid NOT NULL,
    asset_key    text NOT NULL,
    -- Empty for an asset without partitions.
    partition    text NOT NULL DEFAULT '',
    version_id   uuid NOT NULL,
    environment  text NOT NULL REFERENCES signalbox.environment (name) ON DELETE CASCADE,
    at           timestamptz NOT NULL,
    PRIMARY KEY (run_id, asset_key, partition)
);
CREATE INDEX environment_read_by_environment ON signalbox.environment_read (environment, asset_key);

-- Whether a name is in what a list asks for: '' production, '*' all, else the prefix of an environment.
CREATE FUNCTION signalbox.in_environment(name text, prefix text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE prefix WHEN '*' THEN true WHEN '' THEN NOT starts_with(name, '~') ELSE starts_with(name, prefix) END
$$;
