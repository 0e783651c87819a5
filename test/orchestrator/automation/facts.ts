/** Facts of assets in a word, for looks that need no database. */
import type { AutomationCondition } from '../../../domain/automation.ts';
import { readAutomation } from '../../../orchestrator/automation/condition.ts';
import { type Decided, decide } from '../../../orchestrator/automation/decide.ts';
import {
  NO_MEMORY,
  type OwnFacts,
  type Subject,
  type UpstreamFacts,
} from '../../../orchestrator/automation/facts.ts';
import type { AutomationRule } from '../../../orchestrator/index.ts';

export const T0 = Date.UTC(2026, 2, 10, 6, 0, 0);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

/** A UUIDv7 of a moment, with a number. */
export function idAt(at: number, number = 0): string {
  const time = at.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${number.toString(16).padStart(12, '0')}`;
}

export function own(more: Partial<OwnFacts> = {}): OwnFacts {
  return {
    ...{ marker: null, recordedAt: null, runId: null, codeVersion: null, madeByCode: null },
    ...{ inputs: null, failed: null, inProgress: null, freshness: 'fresh', stale: [] },
    ...{ checks: [], requestEnded: null, ...more },
  };
}

/** An asset that was made at a moment, by a run that began a minute before. */
export function madeAt(at: number, more: Partial<OwnFacts> = {}): OwnFacts {
  const runId = idAt(at - MINUTE, 1);
  return own({ marker: idAt(at), recordedAt: at, runId, ...more });
}

/** An upstream with a version of a moment; of none where it is null. */
export function upstream(
  key: string,
  at: number | null,
  more: Partial<UpstreamFacts> = {},
): UpstreamFacts {
  return {
    ...{ key, known: true, madeElsewhere: false, whole: false, partitions: null, failedChecks: [] },
    ...{ marker: at === null ? null : idAt(at), recordedAt: at, runId: null },
    versions: at === null ? [] : [[null, idAt(at), `data ${at}`]],
    ...{ missing: at === null ? '' : null, failed: null, inProgress: null, ...more },
  };
}

export function subjectOf(
  condition: AutomationRule | AutomationCondition,
  more: Partial<Subject> = {},
): Subject {
  const json = 'json' in condition ? condition.json : condition;
  return {
    ...{ key: 'a/x', partition: null, hash: JSON.stringify(json), crons: {}, paused: null },
    definition: readAutomation({ condition: json }),
    ...{ own: own(), upstreams: [], memory: NO_MEMORY, ...more },
  };
}

const NOTHING: ReadonlyMap<string, ReadonlySet<string>> = new Map();

/** One look. */
export function look(subject: Subject, now = T0, requested = NOTHING): Decided {
  return decide(subject, now, requested);
}
