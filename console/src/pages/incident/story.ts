/**
 * The six moments of an incident: evidence begins, detected, planned, acted, recovered, verified. A reopened
 * incident tells its newest round; what was not needed (it recovered by itself) is told as such.
 */
import type { Incident, IncidentEventType } from '../../../../domain/incident.ts';
import type { Execution } from '../../../../domain/runbook.ts';

const STAGES = [
  'evidence begins',
  'detected',
  'planned',
  'acted',
  'recovered',
  'verified',
] as const;
export type StageName = (typeof STAGES)[number];

export interface Stage {
  readonly name: StageName;
  /** Unix milliseconds; null where it has not come. */
  readonly atMs: number | null;
  /** Time since the moment before it that did come. */
  readonly afterMs: number | null;
  readonly state: 'done' | 'next' | 'not-needed' | 'ahead';
}

type Told = Pick<
  Incident,
  'timeline' | 'evidenceAt' | 'detectedAt' | 'mitigatedAt' | 'resolvedAt' | 'status'
>;

export function storyOf(
  incident: Told,
  executions: readonly Pick<Execution, 'createdAt' | 'actedAt'>[],
): Stage[] {
  const reopened = incident.timeline.findLast(({ type }) => type === 'reopened');
  const sinceMs = reopened ? Date.parse(reopened.at) : 0;
  const firstOf = (...types: IncidentEventType[]) => {
    const found = incident.timeline.find(
      (event) => types.includes(event.type) && Date.parse(event.at) >= sinceMs,
    );
    return found ? Date.parse(found.at) : null;
  };
  const earliest = (times: readonly (string | null)[]) => {
    const valid = times.filter((at) => at !== null).map((at) => Date.parse(at));
    const recent = valid.filter((at) => at >= sinceMs);
    return recent.length > 0 ? Math.min(...recent) : null;
  };
  const resolvedMs = incident.resolvedAt === null ? null : Date.parse(incident.resolvedAt);
  const moments: (number | null)[] = [
    reopened ? sinceMs : Date.parse(incident.evidenceAt),
    reopened ? sinceMs : Date.parse(incident.detectedAt),
    firstOf('planned') ?? earliest(executions.map(({ createdAt }) => createdAt)),
    firstOf('acted', 'action-failed') ?? earliest(executions.map(({ actedAt }) => actedAt)),
    firstOf('recovery-seen') ?? earliest([incident.mitigatedAt]),
    firstOf('verified') ?? resolvedMs,
  ];
  const lastDone = moments.findLastIndex((at) => at !== null);
  return STAGES.map((name, index) => {
    const atMs = moments[index] ?? null;
    const before = moments.slice(0, index).findLast((at) => at !== null) ?? null;
    return {
      name,
      atMs,
      afterMs: atMs === null || before === null ? null : atMs - before,
      state: stateOf(atMs, index, lastDone, incident.status),
    };
  });
}

function stateOf(
  atMs: number | null,
  index: number,
  lastDone: number,
  status: Incident['status'],
): Stage['state'] {
  if (atMs !== null) return 'done';
  if (index < lastDone || status === 'resolved') return 'not-needed';
  return index === lastDone + 1 ? 'next' : 'ahead';
}
