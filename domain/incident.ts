/**
 * Incidents and the one function that moves them. Nothing else changes an incident's status, so that each
 * change has a named reason, an actor and a time in its timeline.
 */
import type { Evidence, IncidentKind, Severity, Subject } from './finding.ts';

export const INCIDENT_STATUSES = [
  'open',
  'acknowledged',
  'mitigating',
  'mitigated',
  'resolved',
] as const;
export type IncidentStatus = (typeof INCIDENT_STATUSES)[number];

export const INCIDENT_EVENTS = [
  'opened',
  'reopened',
  'acknowledged',
  'note',
  'severity-changed',
  'member-joined',
  'member-left',
  'response-skipped',
  'response-waiting',
  'planned',
  'approval-requested',
  'approved',
  'rejected',
  'acting',
  'acted',
  'action-failed',
  'undone',
  'recovery-seen',
  'verified',
  'recovery-lost',
  'escalated',
  'resolved',
] as const;
export type IncidentEventType = (typeof INCIDENT_EVENTS)[number];

/** One line of the timeline. `reason` is a named reason from code, `actor` is `signalbox` or who did it. */
export interface IncidentEvent {
  readonly at: string;
  readonly type: IncidentEventType;
  readonly reason: string;
  readonly actor: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface Incident {
  readonly id: string;
  readonly number: number;
  readonly kind: IncidentKind;
  /** Environment of a branch that it is of; absent for production. */
  readonly environment?: string;
  readonly status: IncidentStatus;
  readonly severity: Severity;
  readonly title: string;
  readonly rootCause: string | null;
  readonly diagnosis: string | null;
  readonly fingerprint: string;
  readonly subjects: readonly Subject[];
  readonly affected: readonly Subject[];
  readonly evidence: readonly Evidence[];
  readonly timeline: readonly IncidentEvent[];
  /** First moment that the evidence allowed; `detectedAt` minus this is the time to detect. */
  readonly evidenceAt: string;
  readonly detectedAt: string;
  readonly acknowledgedAt: string | null;
  /** When the action that mitigated it was done. */
  readonly mitigatedAt: string | null;
  readonly resolvedAt: string | null;
  readonly needsHuman: boolean;
  readonly executions: readonly string[];
}

type Transition = Partial<Record<IncidentEventType, IncidentStatus>>;

/** What each event makes of each status; an event that a status does not list is refused. `note`-like events keep it. */
const TRANSITIONS: Record<IncidentStatus, Transition> = {
  open: {
    acknowledged: 'acknowledged',
    acting: 'mitigating',
    'recovery-seen': 'mitigated',
    verified: 'resolved',
    resolved: 'resolved',
  },
  acknowledged: {
    acting: 'mitigating',
    'recovery-seen': 'mitigated',
    verified: 'resolved',
    resolved: 'resolved',
  },
  mitigating: {
    acting: 'mitigating',
    acted: 'mitigating',
    'recovery-seen': 'mitigated',
    'action-failed': 'open',
    undone: 'open',
    resolved: 'resolved',
  },
  mitigated: {
    'recovery-lost': 'open',
    undone: 'open',
    verified: 'resolved',
    resolved: 'resolved',
    acting: 'mitigating',
  },
  resolved: { reopened: 'open' },
};

const KEEPING: readonly IncidentEventType[] = [
  'note',
  'severity-changed',
  'member-joined',
  'member-left',
  'response-skipped',
  'response-waiting',
  'planned',
  'approval-requested',
  'approved',
  'rejected',
  'escalated',
  'opened',
  'acknowledged',
  'acted',
  'undone',
  'action-failed',
];

/** The status after an event, or null where the event is not allowed in that status. */
export function nextIncidentStatus(
  from: IncidentStatus,
  event: IncidentEventType,
): IncidentStatus | null {
  const next = TRANSITIONS[from][event];
  if (next !== undefined) return next;
  if (from === 'resolved') return event === 'note' ? from : null;
  return KEEPING.includes(event) ? from : null;
}
