/** What the plans of all runbooks have in common. */
import type { Subject } from '../domain/finding.ts';
import type { Incident } from '../domain/incident.ts';
import type { Plan, PlannedCall, RunbookContext } from '../domain/runbook.ts';

/** A plan that is to be carried out. */
export function planOf(
  runbook: { id: string; version: string },
  of: {
    diagnosis: string;
    reasons: readonly string[];
    calls: readonly PlannedCall[];
    affected?: readonly Subject[];
    owners?: readonly string[];
  },
): Plan {
  return {
    runbook: runbook.id,
    version: runbook.version,
    diagnosis: of.diagnosis,
    reasons: of.reasons,
    calls: of.calls,
    affected: of.affected ?? [],
    owners: of.owners ?? [],
    refusal: null,
  };
}

/** A plan that says why nothing should be done. */
export function refuse(
  runbook: { id: string; version: string },
  diagnosis: string,
  refusal: string,
  reasons: readonly string[] = [],
): Plan {
  return { ...planOf(runbook, { diagnosis, reasons, calls: [] }), refusal };
}

/** Ids of the incident's subjects of a type. */
export function subjectsOf(
  { incident, findings }: Pick<RunbookContext, 'incident' | 'findings'>,
  type: Subject['type'],
): readonly string[] {
  const all = [...incident.subjects, ...findings.flatMap((finding) => finding.subjects)];
  return [...new Set(all.filter((subject) => subject.type === type).map(({ id }) => id))];
}

/** The newest diagnosis: of the findings at hand, else of the incident. */
export function diagnosisOf({
  incident,
  findings,
}: {
  incident: Incident;
  findings: RunbookContext['findings'];
}): string {
  return findings[0]?.diagnosis ?? incident.diagnosis ?? 'unclear';
}

/** An argument of a planned call, as text. */
export function textArgument(call: PlannedCall, name: string): string {
  return String(call.arguments[name] ?? '');
}
