/**
 * Writes timelines, and tells who listens. A change is stored first, then copied to ClickHouse in the
 * background: a timeline does not wait for telemetry.
 */
import { randomUUID } from 'node:crypto';
import type { Finding } from '../domain/finding.ts';
import type { IncidentEventType } from '../domain/incident.ts';
import type { IncidentsOptions } from './options.ts';
import {
  type IncidentPatch,
  insertIncident,
  type NewEvent,
  recordEvent,
  type StoredIncident,
} from './store/incidents.ts';
import { withoutZeroBytes } from './zero-bytes.ts';

/** What the product does by itself is done by this actor. */
export const SELF = 'signalbox';

export interface Said {
  readonly type: IncidentEventType;
  /** A named reason. */
  readonly reason: string;
  readonly actor?: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface Change {
  readonly topic: 'incident' | 'execution';
  readonly id: string;
}

export type Timeline = ReturnType<typeof createTimeline>;

export function createTimeline(
  options: Pick<IncidentsOptions, 'db' | 'clock' | 'log' | 'recordEvent'>,
) {
  const { db, clock, log } = options;
  const listeners = new Set<(change: Change) => void>();

  function tell(change: Change): void {
    for (const listener of listeners) listener(change);
  }

  function published(incident: StoredIncident | null, event: NewEvent): StoredIncident | null {
    if (!incident) return null;
    tell({ topic: 'incident', id: incident.id });
    options
      .recordEvent({
        ...event,
        incidentId: incident.id,
        number: incident.number,
        kind: incident.kind,
        status: incident.status,
        severity: incident.severity,
      })
      .catch((error: unknown) => log(`an incident event was not copied: ${String(error)}`));
    return incident;
  }

  function toEvent(said: Said): NewEvent {
    return {
      at: clock.now(),
      type: said.type,
      reason: said.reason,
      actor: said.actor ?? SELF,
      detail: withoutZeroBytes(said.detail ?? {}),
    };
  }

  return {
    /** Opens an incident for a finding; null where it has one. */
    async open(finding: Finding): Promise<StoredIncident | null> {
      const event = toEvent({
        type: 'opened',
        reason: finding.reason,
        detail: { diagnosis: finding.diagnosis, since: new Date(finding.since).toISOString() },
      });
      return published(await insertIncident(db, randomUUID(), finding, event), event);
    },
    /** Records an event; null where the incident's status does not allow it. */
    async record(
      id: string,
      said: Said,
      patch: IncidentPatch = {},
    ): Promise<StoredIncident | null> {
      const event = toEvent(said);
      return published(await recordEvent(db, id, event, patch), event);
    },
    tell,
    onChange(listener: (change: Change) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
