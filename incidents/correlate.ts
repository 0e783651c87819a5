/**
 * Findings become incidents: one for each trouble. A finding joins the incident with its fingerprint; a stale
 * asset joins the incident whose root stands above it, and takes over those whose root stands behind it. What
 * no longer fires is clear, unless nobody can tell: no data neither opens nor closes anything.
 */
import { type Finding, SEVERITIES, type Subject } from '../domain/finding.ts';
import { isBlind, type Round } from './detect.ts';
import { asOfBranch } from './of-branch.ts';
import type { Db, IncidentPatch, StoredIncident } from './store/incidents.ts';
import { loadUnresolved, patchIncident } from './store/incidents.ts';
import type { Timeline } from './timeline.ts';
import { withoutZeroBytes } from './zero-bytes.ts';

interface Parts {
  readonly db: Db;
  readonly timeline: Timeline;
  readonly now: number;
}

/** Applies the rounds to the stored incidents. Harmless when two servers do it at once. */
export async function correlate(parts: Parts, rounds: readonly Round[]): Promise<void> {
  const unresolved = await loadUnresolved(parts.db);
  for (const round of rounds) {
    const known = unresolved.filter(({ kind }) => kind === round.kind);
    if (round.state === 'off') continue;
    if (round.state === 'failed') await startHoldsAnew(parts, known);
    else await correlateRound(parts, withoutZeroBytes(round.findings).map(asOfBranch), known);
  }
}

async function correlateRound(
  parts: Parts,
  findings: readonly Finding[],
  known: readonly StoredIncident[],
): Promise<void> {
  const seen = new Set<string>();
  const unknown = findings.filter(({ status }) => status === 'unknown');
  for (const finding of findings.filter(({ status }) => status === 'firing')) {
    const incident = known.find((one) => one.fingerprint === finding.fingerprint);
    const above = incident ? undefined : known.find((one) => standsBehind(finding, one));
    const below = known.filter((one) => one !== incident && standsAbove(finding, one));
    const adopted = incident || above ? undefined : below.find(({ id }) => !seen.has(id));
    const joined = incident ?? above ?? adopted;
    if (joined) {
      seen.add(joined.id);
      await join(parts, joined, finding, { reroot: joined === adopted, member: joined === above });
    } else {
      await parts.timeline.open(finding);
    }
    for (const folded of below.filter(({ id }) => id !== joined?.id && !seen.has(id))) {
      seen.add(folded.id);
      await fold(parts, folded, finding);
    }
  }
  for (const incident of known) {
    if (seen.has(incident.id)) continue;
    if (unknown.some((finding) => leavesOpen(finding, incident))) {
      await startHoldsAnew(parts, [incident]);
    } else if (incident.clearSince === null) {
      await patchIncident(parts.db, incident.id, { clearSince: parts.now });
    }
  }
}

/** Nobody can tell now: what was clear so far must be clear for the whole hold again. */
async function startHoldsAnew({ db }: Parts, incidents: readonly StoredIncident[]): Promise<void> {
  for (const { id, clearSince } of incidents) {
    if (clearSince !== null) await patchIncident(db, id, { clearSince: null });
  }
}

function rootOf({ subjects }: { readonly subjects: readonly Subject[] }): Subject | undefined {
  return subjects[0];
}

function names(list: readonly Subject[], subject: Subject | undefined): boolean {
  return list.some(({ type, id }) => subject?.type === type && subject.id === id);
}

function standsBehind(finding: Finding, incident: StoredIncident): boolean {
  return finding.kind === 'stale-asset' && names(incident.affected, rootOf(finding));
}

function standsAbove(finding: Finding, incident: StoredIncident): boolean {
  return finding.kind === 'stale-asset' && names(finding.affected, rootOf(incident));
}

/** Whether `unknown` means that nothing can be said of the incident. */
function leavesOpen(unknown: Finding, incident: StoredIncident): boolean {
  return (
    isBlind(unknown) ||
    unknown.fingerprint === incident.fingerprint ||
    unknown.subjects.some((subject) => names(incident.subjects, subject))
  );
}

async function join(
  { db, timeline, now }: Parts,
  incident: StoredIncident,
  finding: Finding,
  how: { reroot: boolean; member: boolean },
): Promise<void> {
  const { id, status } = incident;
  if (status === 'mitigated') {
    const lost = { type: 'recovery-lost', reason: 'evidence-fires-again' } as const;
    await timeline.record(id, lost, { clearSince: null });
  } else if (incident.clearSince !== null) {
    await patchIncident(db, id, { clearSince: null });
  }
  // What only stands behind adds nothing to what is known of the root.
  if (how.member) return;
  if (how.reroot) {
    const detail = { fingerprint: finding.fingerprint, was: incident.fingerprint };
    const said = { type: 'member-joined', reason: 'root-found-upstream', detail } as const;
    await timeline.record(id, said, { ...facts(finding), fingerprint: finding.fingerprint });
    return;
  }
  await joinMembers({ timeline, now }, incident, finding);
  await follow(timeline, incident, finding);
}

async function joinMembers(
  { timeline }: Pick<Parts, 'timeline' | 'now'>,
  incident: StoredIncident,
  finding: Finding,
): Promise<void> {
  const fresh = finding.subjects.filter((subject) => !names(incident.subjects, subject));
  if (fresh.length === 0) return;
  const said = {
    type: 'member-joined',
    reason: finding.reason,
    detail: { subjects: fresh },
  } as const;
  const patch: IncidentPatch = {
    subjects: [...incident.subjects, ...fresh],
    affected: merge(incident.affected, finding.affected),
    evidence: finding.evidence,
  };
  await timeline.record(incident.id, said, patch);
}

/** Graver, or better understood. An incident that is being put right keeps what its remedy was chosen by. */
async function follow(
  timeline: Timeline,
  incident: StoredIncident,
  finding: Finding,
): Promise<void> {
  const graver = SEVERITIES.indexOf(finding.severity) < SEVERITIES.indexOf(incident.severity);
  const untouched = incident.status === 'open' || incident.status === 'acknowledged';
  const understood =
    untouched &&
    incident.mitigatedAt === null &&
    finding.diagnosis !== incident.diagnosis &&
    finding.diagnosis !== null &&
    finding.diagnosis !== 'unclear';
  if (!graver && !understood) return;
  const detail = {
    ...(graver ? { from: incident.severity, to: finding.severity } : {}),
    ...(understood ? { diagnosis: finding.diagnosis, was: incident.diagnosis } : {}),
  };
  const said = graver
    ? ({ type: 'severity-changed', reason: finding.reason, detail } as const)
    : ({ type: 'note', reason: 'diagnosis-changed', detail } as const);
  const patch: IncidentPatch = {
    ...(graver ? { severity: finding.severity } : {}),
    ...(understood ? { ...facts(finding), respondAfter: null, refusedSince: null } : {}),
  };
  await timeline.record(incident.id, said, patch);
}

function facts(finding: Finding): IncidentPatch {
  const { title, rootCause, diagnosis, subjects, affected, evidence } = finding;
  return { title, rootCause, diagnosis, subjects, affected, evidence };
}

function merge(known: readonly Subject[], more: readonly Subject[]): readonly Subject[] {
  return [...known, ...more.filter((subject) => !names(known, subject))];
}

/** An incident whose root turned out to stand behind another's. */
async function fold(
  { timeline, now }: Parts,
  folded: StoredIncident,
  into: Finding,
): Promise<void> {
  const detail = { fingerprint: into.fingerprint };
  const said = { type: 'resolved', reason: 'folded-into-its-root', detail } as const;
  await timeline.record(folded.id, said, { resolvedAt: now });
}
