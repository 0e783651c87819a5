-- Incidents, their timelines, what was done about them, and what people set. `incident_event` is append-only.

CREATE SCHEMA IF NOT EXISTS signalbox;

CREATE TABLE signalbox.incident (
    id               uuid PRIMARY KEY,
    number           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind             text NOT NULL,
    fingerprint      text NOT NULL,
    status           text NOT NULL DEFAULT 'open',
    severity         text NOT NULL,
    title            text NOT NULL,
    root_cause       text,
    diagnosis        text,
    subjects         jsonb NOT NULL DEFAULT '[]',
    affected         jsonb NOT NULL DEFAULT '[]',
    evidence         jsonb NOT NULL DEFAULT '[]',
    evidence_at      timestamptz NOT NULL,
    detected_at      timestamptz NOT NULL,
    acknowledged_at  timestamptz,
    mitigated_at     timestamptz,
    resolved_at      timestamptz,
    needs_human      boolean NOT NULL DEFAULT false,
    -- Since when the evidence query has been saying without a break that the trouble is over; null while it fires.
    clear_since      timestamptz,
    -- Response is not tried again before this; why it was not done the last time; since when it is refused.
    respond_after    timestamptz,
    skip_reason      text,
    refused_since    timestamptz
);
-- However many servers detect at once, a trouble has one open incident.
CREATE UNIQUE INDEX incident_unresolved ON signalbox.incident (fingerprint) WHERE status <> 'resolved';
CREATE INDEX incident_by_status ON signalbox.incident (status, number DESC);
CREATE INDEX incident_by_kind ON signalbox.incident (kind, number DESC);

CREATE TABLE signalbox.incident_event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id  uuid NOT NULL REFERENCES signalbox.incident (id),
    at           timestamptz NOT NULL,
    type         text NOT NULL,
    reason       text NOT NULL,
    actor        text NOT NULL,
    detail       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX incident_event_by_incident ON signalbox.incident_event (incident_id, id);

CREATE TABLE signalbox.execution (
    id            uuid PRIMARY KEY,
    incident_id   uuid NOT NULL REFERENCES signalbox.incident (id),
    -- What cooldowns go by: the incident's fingerprint and diagnosis.
    target        text NOT NULL,
    runbook       text NOT NULL,
    status        text NOT NULL,
    mode          text NOT NULL,
    parameters    jsonb NOT NULL DEFAULT '{}',
    plan          jsonb NOT NULL,
    findings      jsonb NOT NULL DEFAULT '[]',
    guardrails    jsonb NOT NULL DEFAULT '[]',
    results       jsonb NOT NULL DEFAULT '[]',
    run_id        text,
    requested_by  text NOT NULL,
    approved_by   text,
    verdict       text,
    created_at    timestamptz NOT NULL,
    acted_at      timestamptz,
    -- When the action was through; from then on the evidence is watched.
    act_ended_at  timestamptz,
    finished_at   timestamptz
);
-- One response at a time to one incident.
CREATE UNIQUE INDEX execution_live ON signalbox.execution (incident_id)
    WHERE status IN ('planned', 'awaiting-approval', 'approved', 'acting', 'verifying');
CREATE INDEX execution_by_incident ON signalbox.execution (incident_id, created_at);
CREATE INDEX execution_by_runbook ON signalbox.execution (runbook, created_at DESC);

CREATE TABLE signalbox.detector_setting (
    detector    text PRIMARY KEY,
    enabled     boolean NOT NULL DEFAULT true,
    settings    jsonb NOT NULL DEFAULT '{}',
    updated_at  timestamptz NOT NULL,
    updated_by  text NOT NULL
);

-- The newest round of each detector, whichever server did it.
CREATE TABLE signalbox.detector_round (
    detector  text PRIMARY KEY,
    at        timestamptz NOT NULL,
    took_ms   double precision NOT NULL,
    state     text NOT NULL,
    error     text
) WITH (fillfactor = 50);

CREATE TABLE signalbox.runbook_mode (
    runbook     text PRIMARY KEY,
    mode        text NOT NULL,
    updated_at  timestamptz NOT NULL,
    updated_by  text NOT NULL
);

CREATE TABLE signalbox.kill_switch (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    is_on       boolean NOT NULL,
    updated_at  timestamptz NOT NULL,
    updated_by  text NOT NULL
);
