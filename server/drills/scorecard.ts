/**
 * What a drill is judged by: times from the first moment that the evidence allowed, one incident, the right
 * remedy, no harm. Bounds that are missed are named.
 */
import Table from 'cli-table3';
import type { Evidence } from '../../domain/finding.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Execution } from '../../domain/runbook.ts';

const BOUNDS = { detectMs: 5_000, mitigateMs: 30_000, verifyMs: 60_000 } as const;

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface Scorecard {
  readonly drill: string;
  readonly variant: string;
  readonly passed: boolean;
  readonly title: string;
  readonly diagnosis: string | null;
  readonly rootCause: string | null;
  /** Milliseconds from the first evidence; null where it never came to it. */
  readonly detectMs: number | null;
  readonly mitigateMs: number | null;
  readonly verifyMs: number | null;
  readonly incidents: number;
  readonly falseActions: number;
  readonly harmfulActions: number;
  readonly humanNeeded: boolean;
  readonly evidence: readonly Evidence[];
  readonly checks: readonly Check[];
}

export interface Outcome {
  readonly drill: string;
  readonly variant: string;
  readonly incidents: readonly Incident[];
  readonly executions: readonly Execution[];
  /** The runbook that ought to act; any other that acted is a false action. */
  readonly runbook: string;
  /** What was done to something that was healthy, in words. */
  readonly harm: readonly string[];
  readonly checks: readonly Check[];
}

/** Judges an outcome against the bounds and the drill's own checks. */
export function score(outcome: Outcome): Scorecard {
  const incident = outcome.incidents[0];
  const since = (at: string | null | undefined) =>
    incident && at ? Date.parse(at) - Date.parse(incident.evidenceAt) : null;
  const detectMs = since(incident?.detectedAt);
  const mitigateMs = since(incident?.mitigatedAt);
  const verifyMs = since(incident?.resolvedAt);
  const acted = outcome.executions.filter((execution) => execution.actedAt !== null);
  const falseActions = acted.filter((execution) => execution.runbook !== outcome.runbook).length;
  const checks: Check[] = [
    within('detected', detectMs, BOUNDS.detectMs),
    within('mitigated', mitigateMs, BOUNDS.mitigateMs),
    within('verified', verifyMs, BOUNDS.verifyMs),
    check('one incident', outcome.incidents.length === 1, titles(outcome.incidents)),
    check(
      'the right runbook acted',
      acted.length > falseActions,
      acted.map((e) => e.runbook).join(', '),
    ),
    check('no false action', falseActions === 0, String(falseActions)),
    check('no harm', outcome.harm.length === 0, outcome.harm.join('; ')),
    check(
      'evidence kept',
      (incident?.evidence.length ?? 0) > 0,
      `${incident?.evidence.length ?? 0} queries`,
    ),
    check('no human needed', incident?.needsHuman === false, ''),
    ...outcome.checks,
  ];
  return {
    drill: outcome.drill,
    variant: outcome.variant,
    passed: checks.every((item) => item.ok),
    title: incident?.title ?? 'no incident was opened',
    diagnosis: incident?.diagnosis ?? null,
    rootCause: incident?.rootCause ?? null,
    detectMs,
    mitigateMs,
    verifyMs,
    incidents: outcome.incidents.length,
    falseActions,
    harmfulActions: outcome.harm.length,
    humanNeeded: incident?.needsHuman ?? true,
    evidence: incident?.evidence ?? [],
    checks,
  };
}

export function check(name: string, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}

function within(name: string, ms: number | null, boundMs: number): Check {
  const ok = ms !== null && ms <= boundMs;
  return check(`${name} within ${boundMs / 1000} s`, ok, ms === null ? 'never' : seconds(ms));
}

function titles(incidents: readonly Incident[]): string {
  return incidents.map((incident) => `#${incident.number} ${incident.title}`).join(' | ');
}

function seconds(ms: number | null): string {
  return ms === null ? '–' : `${(ms / 1000).toFixed(1)} s`;
}

/** The scorecards as a table for people, with every missed bound beneath. */
export function renderScorecards(cards: readonly Scorecard[]): string {
  const table = new Table({
    head: [
      'drill',
      'verdict',
      'detected',
      'mitigated',
      'verified',
      'incidents',
      'false',
      'harmful',
      'human',
    ],
    style: { head: [], border: [] },
  });
  for (const card of cards) {
    table.push([
      `${card.drill}${card.variant ? ` (${card.variant})` : ''}`,
      card.passed ? 'passed' : 'FAILED',
      seconds(card.detectMs),
      seconds(card.mitigateMs),
      seconds(card.verifyMs),
      card.incidents,
      card.falseActions,
      card.harmfulActions,
      card.humanNeeded ? 'yes' : 'no',
    ]);
  }
  const details = cards.flatMap((card) => [
    `${card.drill}${card.variant ? ` (${card.variant})` : ''}: ${card.title}`,
    `  cause: ${card.rootCause ?? 'unknown'}; diagnosis: ${card.diagnosis ?? 'none'}; evidence: ${card.evidence.length} queries`,
    ...card.checks.map(
      (item) => `  ${item.ok ? '✓' : '✗'} ${item.name}${item.detail ? `: ${item.detail}` : ''}`,
    ),
  ]);
  return `${table.toString()}\n\n${details.join('\n')}`;
}
