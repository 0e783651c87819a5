/** Incidents, detectors, runbooks and executions as the API gives them. */
import { Type } from 'typebox';
import { INCIDENT_KINDS, SEVERITIES } from '../../domain/finding.ts';
import { INCIDENT_EVENTS, INCIDENT_STATUSES } from '../../domain/incident.ts';
import { EXECUTION_STATUSES, RUNBOOK_MODES, VERDICTS } from '../../domain/runbook.ts';
import { AnyObject, Closed, Nullable, OneOf, Text, Time } from './parts.ts';

const Subject = Type.Object({ type: Type.String(), id: Type.String() });

const Evidence = Type.Object({
  detector: Type.String(),
  version: Type.String(),
  query: Type.String(),
  parameters: AnyObject,
  rows: Type.Array(AnyObject),
  threshold: AnyObject,
});

const IncidentEvent = Type.Object({
  at: Time,
  type: OneOf(INCIDENT_EVENTS),
  reason: Type.String(),
  actor: Type.String(),
  detail: AnyObject,
});

const Incident = Type.Object({
  id: Type.String(),
  number: Type.Integer(),
  kind: OneOf(INCIDENT_KINDS),
  status: OneOf(INCIDENT_STATUSES),
  severity: OneOf(SEVERITIES),
  title: Type.String(),
  rootCause: Nullable(Type.String()),
  diagnosis: Nullable(Type.String()),
  fingerprint: Type.String(),
  subjects: Type.Array(Subject),
  affected: Type.Array(Subject),
  evidence: Type.Array(Evidence),
  timeline: Type.Array(IncidentEvent),
  evidenceAt: Time,
  detectedAt: Time,
  acknowledgedAt: Nullable(Time),
  mitigatedAt: Nullable(Time),
  resolvedAt: Nullable(Time),
  needsHuman: Type.Boolean(),
  executions: Type.Array(Type.String()),
});

const Detector = Type.Object({
  id: Type.String(),
  version: Type.String(),
  kind: Type.String(),
  summary: Type.String(),
  enabled: Type.Boolean(),
  settings: AnyObject,
  defaults: AnyObject,
  lastRoundAt: Nullable(Time),
  lastRoundMs: Nullable(Type.Number()),
  lastError: Nullable(Type.String()),
  state: OneOf(['ok', 'firing', 'unknown', 'failed', 'off']),
});

const Runbook = Type.Object({
  id: Type.String(),
  title: Type.String(),
  summary: Type.String(),
  kinds: Type.Array(Type.String()),
  mode: OneOf(RUNBOOK_MODES),
  guardrails: AnyObject,
});

const Plan = Type.Object({
  runbook: Type.String(),
  version: Type.String(),
  diagnosis: Type.String(),
  reasons: Type.Array(Type.String()),
  calls: Type.Array(
    Type.Object({
      key: Type.String(),
      summary: Type.String(),
      lever: Type.String(),
      arguments: AnyObject,
      before: Type.Unknown(),
      after: Type.Unknown(),
      undo: Nullable(Type.String()),
    }),
  ),
  affected: Type.Array(Subject),
  owners: Type.Array(Type.String()),
  refusal: Nullable(Type.String()),
});

const Execution = Type.Object({
  id: Type.String(),
  incidentId: Nullable(Type.String()),
  runbook: Type.String(),
  status: OneOf(EXECUTION_STATUSES),
  mode: OneOf(RUNBOOK_MODES),
  plan: Type.Object({ ...Plan.properties }),
  guardrails: Type.Array(
    Type.Object({ name: Type.String(), allows: Type.Boolean(), detail: Type.String() }),
  ),
  results: Type.Array(
    Type.Object({
      key: Type.String(),
      ok: Type.Boolean(),
      outcome: Type.String(),
      detail: AnyObject,
      at: Time,
    }),
  ),
  runId: Nullable(Type.String()),
  requestedBy: Type.String(),
  approvedBy: Nullable(Type.String()),
  verdict: Nullable(OneOf(VERDICTS)),
  createdAt: Time,
  actedAt: Nullable(Time),
  finishedAt: Nullable(Time),
});

export const DetectorBody = Closed({
  enabled: Type.Optional(Type.Boolean()),
  settings: Type.Optional(AnyObject),
});

export const RunbookBody = Closed({ mode: OneOf(RUNBOOK_MODES) });

/** What planning and executing take. */
export const ResponseBody = Closed({
  incidentId: Type.String({ minLength: 1, maxLength: 100 }),
  parameters: Type.Optional(AnyObject),
});

export const ReasonBody = Closed({ reason: Type.String({ ...Text, default: 'by hand' }) });

export const INCIDENT_SCHEMAS = { Incident, Detector, Runbook, Plan, Execution };
