/** Waiting for an incident's whole life from outside, and telling on the way what is seen. */
import type { Incident, IncidentStatus } from '../../domain/incident.ts';
import type { Execution } from '../../domain/runbook.ts';
import type { DrillInstance } from './instance.ts';
import { waitFor } from './wait.ts';

export type Tell = (line: string) => void;

export interface Lived {
  readonly incidents: readonly Incident[];
  readonly executions: readonly Execution[];
}

const LIFE_LIMIT_MS = 120_000;

/**
 * Waits until an incident came up since `sinceMs` and all of them are resolved, or the limit is over; then
 * gives what there is, to be judged.
 */
export async function liveThrough(
  instance: DrillInstance,
  sinceMs: number,
  tell: Tell,
  limitMs = LIFE_LIMIT_MS,
): Promise<Lived> {
  const statuses = new Map<string, IncidentStatus>();
  let incidents: readonly Incident[] = [];
  const done = async () => {
    incidents = await instance.api.incidents(sinceMs);
    for (const incident of incidents) {
      if (statuses.get(incident.id) === incident.status) continue;
      statuses.set(incident.id, incident.status);
      tell(`  #${incident.number} ${incident.status}: ${incident.title}`);
    }
    const over = incidents.length > 0 && incidents.every((one) => one.status === 'resolved');
    return over || incidents.some((one) => one.needsHuman) ? true : undefined;
  };
  await waitFor('the incident to be resolved', limitMs, done).catch((error: unknown) => {
    tell(`  ${String(error)}`);
  });
  const executions = (
    await Promise.all(incidents.map((one) => instance.api.executions(one)))
  ).flat();
  return { incidents, executions };
}
