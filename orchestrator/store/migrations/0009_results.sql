-- Cached results of tasks, and what tasks show people. Content that is large lies in the result store.

CREATE TABLE signalbox.result_cache (
    workflow    text NOT NULL,
    -- The task, or the key under which a flow caches.
    name        text NOT NULL,
    hash        text NOT NULL,
    -- The result as task_log has it: JSON, or a reference.
    result      jsonb,
    run_id      uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    PRIMARY KEY (workflow, name, hash)
);
CREATE INDEX result_cache_expired ON signalbox.result_cache (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX result_cache_content ON signalbox.result_cache ((result ->> 'key'))
    WHERE result ->> '$signalbox' = 'result';

-- Attempts that took a cached result; `content` names what the run needs of another run's content.
CREATE TABLE signalbox.result_cache_hit (
    run_id    uuid NOT NULL,
    task_key  text NOT NULL,
    attempt   int NOT NULL,
    name      text NOT NULL,
    from_run  uuid NOT NULL,
    content   text,
    at        timestamptz NOT NULL,
    PRIMARY KEY (run_id, task_key, attempt, name)
);
CREATE INDEX result_cache_hit_content ON signalbox.result_cache_hit (content) WHERE content IS NOT NULL;

CREATE TABLE signalbox.artifact (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         text NOT NULL,
    version     int NOT NULL,
    kind        text NOT NULL,
    title       text,
    run_id      uuid NOT NULL,
    task_key    text NOT NULL,
    mime        text NOT NULL,
    bytes       bigint NOT NULL,
    value       jsonb,
    binary_content bytea,
    -- A reference to content in the result store.
    content     jsonb,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX artifact_of_task ON signalbox.artifact (run_id, key, task_key);
CREATE UNIQUE INDEX artifact_version ON signalbox.artifact (key, version);
