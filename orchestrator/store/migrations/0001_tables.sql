-- The orchestrator's truth. Everything lives in the schema `signalbox`, so that it can share a database.
--
-- What is hot is narrow and small: `run_live` and `task_live` hold only what has not ended, so their size and
-- statistics do not depend on what is stored. What has ended is appended once (`task_log`, `step_log`) or
-- updated once (`run`). Run and task ids are UUIDv7: creation order is id order, lists need no other index.

CREATE SCHEMA IF NOT EXISTS signalbox;

-- Definitions ---------------------------------------------------------------------------------------------

CREATE TABLE signalbox.workflow (
    name              text PRIMARY KEY,
    kind              text NOT NULL CHECK (kind IN ('workflow', 'flow', 'asset', 'system')),
    file              text NOT NULL DEFAULT '',
    description       text,
    tags              jsonb NOT NULL DEFAULT '[]',
    owners            jsonb NOT NULL DEFAULT '[]',
    schedule          jsonb,
    parameters        jsonb,
    queue             text NOT NULL DEFAULT 'default',
    max_active_runs   int,
    paused            boolean NOT NULL DEFAULT false,
    version_id        bigint NOT NULL,
    -- Moment of the next scheduled run, and the cron instant (logical date) that it is for.
    next_run_at       timestamptz,
    next_logical_date timestamptz,
    registered_at     timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX workflow_due ON signalbox.workflow (next_run_at) WHERE next_run_at IS NOT NULL AND NOT paused;

-- A graph is compiled once and never changes; servers cache it by id. `graph` is
-- {"tasks":[{"key","kind","after":[index…],"queue","retries","retryDelayMs","retryBackoff","retryMaxDelayMs",
--            "timeoutMs","pool","poolSlots","priority","idempotent"}]}.
CREATE TABLE signalbox.workflow_version (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workflow    text NOT NULL,
    version     text NOT NULL,
    graph       jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workflow, version)
);

CREATE TABLE signalbox.workflow_file_error (
    file     text PRIMARY KEY,
    message  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT now()
);

-- Runs ------------------------------------------------------------------------------------------------------

-- One row a run, of this orchestrator and of others (`engine`). Inserted once and updated once, at its end;
-- while it lives its state is in `run_live`.
CREATE TABLE signalbox.run (
    id                uuid PRIMARY KEY,
    workflow          text NOT NULL,
    engine            text NOT NULL DEFAULT 'signalbox',
    version_id        bigint,
    -- 'active' while a row of run_live tells the state; else one of the terminal states. Runs of other engines
    -- have no row in run_live and carry their state here.
    state             text NOT NULL DEFAULT 'active',
    parameters        jsonb NOT NULL DEFAULT '{}',
    logical_date      timestamptz,
    interval_start    timestamptz,
    interval_end      timestamptz,
    trigger           text NOT NULL DEFAULT 'manual',
    priority          smallint NOT NULL DEFAULT 0,
    idempotency_key   text,
    business_key      text NOT NULL,
    parent_run_id     uuid,
    retry_of          uuid,
    external_id       text,
    traceparent       text,
    -- Assets that a run of another engine read and wrote.
    inputs            text[],
    outputs           text[],
    created_at        timestamptz NOT NULL,
    started_at        timestamptz,
    finished_at       timestamptz,
    error             jsonb,
    -- Result of a flow, or of the last task of a workflow that has one last task.
    result            jsonb,
    -- How each task ended (as in run_live.tasks), once the run has ended; null where all succeeded.
    tasks             bytea
) WITH (fillfactor = 90);
CREATE INDEX run_by_workflow ON signalbox.run (workflow, id DESC);
CREATE INDEX run_by_state ON signalbox.run (state, id DESC);
CREATE INDEX run_by_engine ON signalbox.run (engine, id DESC) WHERE engine <> 'signalbox';
CREATE UNIQUE INDEX run_by_idempotency_key ON signalbox.run (workflow, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX run_by_external_id ON signalbox.run (engine, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX run_by_parent ON signalbox.run (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- A run that has not ended. `tasks` has one byte a task of the graph, in the graph's order: 0 pending, 1 live
-- (it has a row in task_live), then how it ended: 2 succeeded, 3 failed, 4 cancelled, 5 skipped,
-- 6 upstream-failed. Whoever changes it holds the row's lock; batches lock rows in id order.
CREATE TABLE signalbox.run_live (
    run_id            uuid PRIMARY KEY,
    workflow          text NOT NULL,
    version_id        bigint NOT NULL,
    -- scheduled (waits for max_active_runs), queued, running, retrying
    state             text NOT NULL,
    priority          smallint NOT NULL DEFAULT 0,
    tasks             bytea NOT NULL,
    started_at        timestamptz,
    -- Of the first task that failed.
    error             jsonb,
    cancel_reason     text,
    cancelled_at      timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);
ALTER TABLE signalbox.run_live ALTER COLUMN tasks SET STORAGE EXTERNAL;
CREATE INDEX run_live_by_workflow ON signalbox.run_live (workflow);

-- Blocks of a million fencing tokens each; a server takes one at a time.
CREATE SEQUENCE signalbox.token_block;

-- A task that is ready, waits for its retry, or runs. Deleted when the attempt ends.
CREATE TABLE signalbox.task_live (
    run_id        uuid NOT NULL,
    -- Index into the graph's tasks.
    task          int NOT NULL,
    -- 1 ready, 2 running, 3 waits for its retry until ready_at
    state         smallint NOT NULL,
    queue         text NOT NULL,
    priority      smallint NOT NULL,
    pool          text,
    pool_slots    smallint NOT NULL DEFAULT 1,
    attempt       smallint NOT NULL DEFAULT 1,
    retries_left  smallint NOT NULL DEFAULT 0,
    -- Attempts whose agent was lost; they cost no retry, but their number has a limit.
    lost          smallint NOT NULL DEFAULT 0,
    session_id    bigint,
    token         bigint,
    -- Since when it is ready, or until when it waits for its retry.
    ready_at      timestamptz NOT NULL,
    started_at    timestamptz,
    cancel_reason text,
    PRIMARY KEY (run_id, task)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
-- What needs slots of a pool is claimed apart, so that a full pool is not in the way of the rest.
CREATE INDEX task_live_ready ON signalbox.task_live (queue, priority DESC, ready_at)
    WHERE state = 1 AND pool IS NULL;
CREATE INDEX task_live_ready_pooled ON signalbox.task_live (queue, pool, priority DESC, ready_at)
    WHERE state = 1 AND pool IS NOT NULL;
CREATE INDEX task_live_retry ON signalbox.task_live (ready_at) WHERE state = 3;
CREATE INDEX task_live_held ON signalbox.task_live (session_id) WHERE state = 2;
CREATE INDEX task_live_cancelling ON signalbox.task_live (session_id) WHERE cancel_reason IS NOT NULL;
CREATE INDEX task_live_pool ON signalbox.task_live (pool) WHERE pool IS NOT NULL AND state = 2;

-- One row for each ended attempt, appended. state as in run_live.tasks, and 7 lost, 8 retried (failed, and
-- another attempt follows).
CREATE TABLE signalbox.task_log (
    run_id       uuid NOT NULL,
    task         int NOT NULL,
    attempt      smallint NOT NULL,
    state        smallint NOT NULL,
    agent        text,
    -- Of the assignment, so that a completion that is sent twice is told from one that lost its lease.
    token        bigint,
    ready_at     timestamptz,
    started_at   timestamptz,
    finished_at  timestamptz NOT NULL,
    result       jsonb,
    error        jsonb,
    PRIMARY KEY (run_id, task, attempt)
);

-- Durable steps of flows.
CREATE TABLE signalbox.step_log (
    run_id       uuid NOT NULL,
    key          text NOT NULL,
    state        text NOT NULL CHECK (state IN ('succeeded', 'failed')),
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz NOT NULL,
    result       jsonb,
    error        jsonb,
    PRIMARY KEY (run_id, key)
);

-- Events for ClickHouse: one row a transaction, with all its events in `events`, so that history costs a row a
-- batch. The follower reads rows with `xid < pg_snapshot_xmin(pg_current_snapshot())` in (xid, id) order, so
-- that no transaction that commits late is skipped.
CREATE TABLE signalbox.event_batch (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at        timestamptz NOT NULL,
    -- 'run' or 'asset': an array of RunEvent or AssetEvent without their ids. 'change': what this orchestrator's
    -- runs and tasks became, compact; the rest of each event is read from the run.
    kind      text NOT NULL,
    size      int NOT NULL,
    events    text NOT NULL,
    PRIMARY KEY (xid, id)
);
CREATE TABLE signalbox.follower (
    name       text PRIMARY KEY,
    watermark  text NOT NULL,
    saved_at   timestamptz NOT NULL DEFAULT now()
);

-- `ctx.once`: one result under a business key of the workflow's.
CREATE TABLE signalbox.once_key (
    workflow     text NOT NULL,
    -- sha256 of the key, since a key may be longer than an index entry.
    key_hash     bytea NOT NULL,
    key          text NOT NULL,
    -- held, done, unknown
    state        text NOT NULL,
    on_unknown   text NOT NULL,
    run_id       uuid NOT NULL,
    token        bigint NOT NULL,
    session_id   bigint,
    held_at      timestamptz NOT NULL,
    finished_at  timestamptz,
    result       jsonb,
    PRIMARY KEY (workflow, key_hash)
);

-- Agents ----------------------------------------------------------------------------------------------------

CREATE TABLE signalbox.agent_session (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Unguessable; what the agent names in its URLs.
    public_id          uuid NOT NULL UNIQUE,
    name               text NOT NULL,
    queues             text[] NOT NULL,
    concurrency        int NOT NULL,
    version            text NOT NULL DEFAULT '',
    -- live, stopped (a clean end), lost (its lease ran out and was taken back)
    state              text NOT NULL DEFAULT 'live',
    running            int NOT NULL DEFAULT 0,
    started_at         timestamptz NOT NULL,
    last_heartbeat_at  timestamptz NOT NULL,
    lease_expires_at   timestamptz NOT NULL,
    ended_at           timestamptz,
    pools              jsonb NOT NULL DEFAULT '[]'
) WITH (fillfactor = 50);
CREATE INDEX agent_session_live ON signalbox.agent_session (state) WHERE state = 'live';
CREATE INDEX agent_session_by_name ON signalbox.agent_session (name, id DESC);

-- Pools and queues ------------------------------------------------------------------------------------------

CREATE TABLE signalbox.pool (
    name        text PRIMARY KEY,
    -- task-slots: enforced on claims. postgres-client: a ceiling that agents apply to the pool in their process.
    kind        text NOT NULL,
    max         int NOT NULL CHECK (max >= 0),
    server      text,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    updated_by  text NOT NULL DEFAULT 'signalbox'
);

CREATE TABLE signalbox.queue (
    name         text PRIMARY KEY,
    paused       boolean NOT NULL DEFAULT false,
    concurrency  int CHECK (concurrency IS NULL OR concurrency >= 0)
);

-- Assets ----------------------------------------------------------------------------------------------------

CREATE TABLE signalbox.asset (
    key                 text PRIMARY KEY,
    description         text,
    owners              jsonb NOT NULL DEFAULT '[]',
    source              text,
    -- Null for an asset that was only ever seen from outside, or that only has a policy.
    workflow            text,
    queue               text NOT NULL DEFAULT 'default',
    -- The task of the asset in a materialization: retries, timeout, pool … (a node of a graph).
    task                jsonb,
    checks              jsonb NOT NULL DEFAULT '[]',
    -- Policy as the code declares it, and what was set by hand; the latter wins field by field.
    declared_policy     jsonb NOT NULL DEFAULT '{}',
    set_policy          jsonb NOT NULL DEFAULT '{}',
    schema              jsonb,
    -- The newest version that was computed or observed (by event time), and whether a fallback is served.
    computed_at         timestamptz,
    computed_id         uuid,
    served_id           uuid,
    fallback            boolean NOT NULL DEFAULT false,
    last_failed_at      timestamptz,
    last_failure        jsonb,
    updated_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE signalbox.asset_edge (
    upstream    text NOT NULL,
    downstream  text NOT NULL,
    -- 'code' or 'openlineage': who says so.
    origin      text NOT NULL,
    PRIMARY KEY (downstream, upstream)
);
CREATE INDEX asset_edge_up ON signalbox.asset_edge (upstream, downstream);

-- One row; its number grows with each transaction that changes an edge, so that servers may keep the edges.
CREATE TABLE signalbox.lineage_epoch (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch  bigint NOT NULL DEFAULT 1
);
INSERT INTO signalbox.lineage_epoch DEFAULT VALUES;

CREATE TABLE signalbox.materialization (
    id           uuid PRIMARY KEY,
    asset_key    text NOT NULL,
    -- Event time of the data.
    at           timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    run_id       uuid,
    partition    text,
    -- computed, fallback, observed
    provenance   text NOT NULL,
    metadata     jsonb NOT NULL DEFAULT '{}',
    -- What downstream assets read; null where it is kept elsewhere.
    value        jsonb,
    idempotency_key text
);
CREATE INDEX materialization_by_asset ON signalbox.materialization (asset_key, id DESC);
-- Values that are kept; those that nobody reads any more are taken away.
CREATE INDEX materialization_with_value ON signalbox.materialization (id) WHERE value IS NOT NULL;
CREATE UNIQUE INDEX materialization_once ON signalbox.materialization (asset_key, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE signalbox.asset_check (
    asset_key  text NOT NULL,
    name       text NOT NULL,
    passed     boolean NOT NULL,
    blocking   boolean NOT NULL DEFAULT false,
    at         timestamptz NOT NULL,
    run_id     uuid,
    metadata   jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (asset_key, name)
);
