/**
 * What becomes of a look: a run, or the reason why not. An asset is asked for once for each cause, never while it is
 * in progress, and not while an upstream is in progress or has failed (unless the definition says so).
 */
import { createHash } from 'node:crypto';
import {
  type AutomationDecision,
  type AutomationReason,
  backOffMs,
  type ConditionResult,
} from '../../domain/automation.ts';
import { isConsidered } from './condition.ts';
import { evaluate, type Outcome } from './evaluate.ts';
import type { Memory, Subject } from './facts.ts';
import {
  anyFailed,
  anyInProgress,
  type Found,
  inProgress,
  isRequested,
  type Look,
} from './operands.ts';
import { hasNotMade, noticeFailure, noticeVersions } from './seen.ts';
import { moment } from './words.ts';

export interface Decided {
  readonly subject: Subject;
  readonly decision: AutomationDecision;
  readonly reason: AutomationReason;
  readonly condition: ConditionResult | null;
  readonly gates: readonly ConditionResult[];
  /** Of a request: what called for it. */
  readonly cause: string | null;
  /** For the next look. Of a request without what the run adds. */
  readonly memory: Memory;
  /** Upstreams that the same round asks for. */
  readonly joins: readonly string[];
  /** When it is to be looked at again at the latest; null for no such moment. */
  readonly againAt: number | null;
}

export function decide(subject: Subject, now: number, requested: Look['requested']): Decided {
  const before = subject.memory;
  const noticed = noticeVersions(before, subject.own, subject.upstreams, now);
  const memory = noticeFailure(noticed, subject.own, now);
  const look: Look = { subject, memory, before, now, requested };
  const outcome = evaluate(subject.definition.condition, look);
  const gates = gatesOf(look);
  const found = judge(look, outcome, gates);
  return {
    ...{ subject, ...found, condition: outcome.result },
    gates: gates.map(({ result }) => result),
    memory: { ...memory, ...outcome.memory, requestedLast: found.decision === 'requested' },
    joins: subject.upstreams.filter((one) => isRequested(one, look)).map(({ key }) => key),
  };
}

interface Gate {
  readonly code: AutomationReason['code'];
  readonly found: Found;
  readonly result: ConditionResult;
}

/** What holds any asset back. */
function gatesOf(look: Look): readonly Gate[] {
  const { subject } = look;
  const gate = (code: Gate['code'], label: string, found: Found): Gate => {
    const { met, detail, evidence } = found;
    const result = { kind: code, label, met: !met, detail, ...(evidence ? { evidence } : {}) };
    return { code, found, result };
  };
  const own = gate('in-progress', 'not in progress', inProgress(subject.own));
  if (!subject.definition.waitForUpstreams) return [own];
  const { condition } = subject.definition;
  const upstreams = subject.upstreams.filter(({ key }) => isConsidered(condition, key));
  return [
    own,
    gate('upstream-in-progress', 'no upstream in progress', anyInProgress(upstreams)),
    gate('upstream-failed', 'no upstream failed', anyFailed(upstreams, look)),
  ];
}

type Judged = Pick<Decided, 'decision' | 'reason' | 'cause' | 'againAt'>;

function held(
  code: AutomationReason['code'],
  message: string,
  more: Omit<AutomationReason, 'code' | 'message'> = {},
): Judged {
  return { decision: 'held', reason: { code, message, ...more }, cause: null, againAt: null };
}

function idle(
  code: AutomationReason['code'],
  message: string,
  more: Omit<AutomationReason, 'code' | 'message'> = {},
): Judged {
  return { decision: 'idle', reason: { code, message, ...more }, cause: null, againAt: null };
}

function judge(look: Look, outcome: Outcome, gates: readonly Gate[]): Judged {
  const { subject, memory, now } = look;
  const wanted = outcome.wanted ?? outcome.met;
  if (!wanted) return judgeUnwanted(look);
  const cause = hashOf(outcome.causes);
  if (subject.paused) {
    const { by, at, all } = subject.paused;
    const what = all ? 'all automation is' : 'it is';
    return held('paused', `is called for, but ${what} paused by ${by} since ${moment(at)}`);
  }
  if (memory.request?.cause === cause) {
    return subject.own.inProgress ? judgeUnwanted(look) : judgeAsked(look);
  }
  for (const { code, found } of gates) {
    if (!found.met) continue;
    const words = code === 'in-progress' ? `is ${found.detail}` : `waits for ${found.detail}`;
    return held(code, words, {
      ...(found.upstream === undefined ? {} : { upstream: found.upstream }),
      ...(found.runId === undefined ? {} : { runId: found.runId }),
    });
  }
  if (!outcome.met) return judgeUnmet(outcome.result);
  const until = memory.failedAt + backOffMs(memory.failures);
  if (until > now) {
    const words = `its last ${memory.failures} runs failed; it is asked for again ${moment(until)}`;
    const at = new Date(until).toISOString();
    return { ...held('backing-off', words, { until: at }), againAt: until };
  }
  return {
    decision: 'requested',
    reason: {
      code: 'condition-met',
      message: triggersOf(outcome.result).join('; ') || 'its condition is true',
    },
    ...{ cause, againAt: null },
  };
}

/** Nothing calls for it; but a run that was to make it and did not is told. */
function judgeUnwanted({ subject, memory }: Look): Judged {
  const { own } = subject;
  if (own.inProgress) {
    const { runId } = own.inProgress;
    return idle('in-progress', `is ${inProgress(own).detail}`, { runId });
  }
  if (hasNotMade(memory, own)) return judgeAsked({ subject, memory });
  return idle('nothing-new', 'nothing calls for it');
}

/** It was asked for because of the same before. */
function judgeAsked({ subject, memory }: Pick<Look, 'subject' | 'memory'>): Judged {
  const { request } = memory;
  if (request === null) return idle('nothing-new', 'nothing calls for it');
  if (!hasNotMade(memory, subject.own)) {
    const words = `was asked for because of this already, ${moment(request.at)} by run ${request.runId}`;
    return idle('already-requested', words);
  }
  const { failed, requestEnded } = subject.own;
  const how =
    failed !== null && failed.runId === request.runId
      ? `failed (${failed.message})`
      : requestEnded === 'cancelled'
        ? 'was cancelled'
        : 'ended without making it';
  return held(
    'run-failed',
    `run ${request.runId}, requested ${moment(request.at)}, ${how}: automation does not ask again for the same cause; retry the run, or materialize it by hand`,
    { runId: request.runId },
  );
}

const UNMET: Readonly<Record<string, AutomationReason['code']>> = {
  'any-upstream-missing': 'upstream-missing',
  'all-upstreams-updated-since': 'upstream-not-updated',
  'any-upstream-in-progress': 'upstream-in-progress',
  'any-upstream-failed': 'upstream-failed',
  'in-progress': 'in-progress',
};

function judgeUnmet(result: ConditionResult): Judged {
  const blockers = blockersOf(result);
  const words = blockers.map(({ label, detail }) => detail ?? label);
  const [first] = blockers;
  const upstreams = first?.evidence?.['upstreams'] ?? first?.evidence?.['waitsFor'];
  const upstream = Array.isArray(upstreams)
    ? (upstreams[0] as { asset?: string } | undefined)?.asset
    : undefined;
  return held(
    UNMET[first?.kind ?? ''] ?? 'condition-not-met',
    `waits: ${words.slice(0, 3).join('; ')}`,
    upstream === undefined ? {} : { upstream },
  );
}

/** The leaves that keep a condition from being true. */
function blockersOf(result: ConditionResult): readonly ConditionResult[] {
  const of = result.of ?? [];
  if (result.met) return [];
  if (result.kind === 'not') return of.flatMap(sourcesOf);
  if (of.length === 0) return [result];
  if (result.kind === 'since' || result.kind === 'newly-true') return [result];
  return of.flatMap(blockersOf);
}

/** The leaves that make a condition true. */
function sourcesOf(result: ConditionResult): readonly ConditionResult[] {
  const of = (result.of ?? []).filter(({ met }) => met);
  return of.length === 0 || result.kind === 'not' ? [result] : of.flatMap(sourcesOf);
}

/** What called for it, in words. */
function triggersOf(result: ConditionResult): readonly string[] {
  if (result.kind === 'not') return [];
  const of = (result.of ?? []).filter(({ met }) => met);
  if (result.kind === 'since') {
    const [trigger] = result.of ?? [];
    return [
      trigger?.met ? (trigger.detail ?? trigger.label) : `${trigger?.label} ${result.detail}`,
    ];
  }
  if (of.length > 0) return of.flatMap(triggersOf);
  return result.detail === null ? [] : [result.detail];
}

function hashOf(causes: readonly string[]): string {
  const text = [...new Set(causes)].sort().join('\n');
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}
