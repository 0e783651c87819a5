/**
 * Evaluates a condition: its truth, the same tree with what each node found, and what is to be remembered. Pure.
 *
 * Beside its truth a condition may be `wanted`: what triggers in it is true, whatever holds back (an upstream that is
 * missing, a tick whose upstreams are late). What is wanted and not true is held back, and that is told.
 */
import type { AutomationCondition, ConditionResult } from '../../domain/automation.ts';
import type { Memory } from './facts.ts';
import { type Look, lookAt } from './operands.ts';
import { labelOf, moment } from './words.ts';

export interface Evaluated {
  readonly met: boolean;
  /** Null where nothing in it triggers: it can only hold back. */
  readonly wanted: boolean | null;
  readonly result: ConditionResult;
  /** What made its triggers true. */
  readonly causes: readonly string[];
}

/** What a node leaves for the next look. */
interface Remembered {
  readonly since: Record<string, { at: number; cause: string }>;
  readonly was: string[];
}

export interface Outcome extends Evaluated {
  readonly memory: Pick<Memory, 'since' | 'was' | 'hash'>;
}

export function evaluate(condition: AutomationCondition, look: Look): Outcome {
  const remembered: Remembered = { since: {}, was: [] };
  const whole = visit(condition, '0', look, remembered);
  return { ...whole, memory: { ...remembered, hash: look.subject.hash } };
}

function visit(node: AutomationCondition, place: string, look: Look, kept: Remembered): Evaluated {
  switch (node.kind) {
    case 'all':
    case 'any': {
      const of = node.of.map((one, index) => visit(one, `${place}.${index}`, look, kept));
      return node.kind === 'all' ? allOf(node, of) : anyOf(node, of);
    }
    case 'not': {
      const of = visit(node.of, `${place}.0`, look, kept);
      const met = !of.met;
      return { met, wanted: null, causes: [], result: resultOf(node, met, null, [of]) };
    }
    case 'newly-true':
      return newlyTrue(node, place, look, kept);
    case 'since':
      return since(node, place, look, kept);
    default: {
      const found = lookAt(node, look);
      const triggers = found.cause !== undefined || TRIGGERS.has(node.kind);
      return {
        met: found.met,
        wanted: triggers ? found.met : null,
        causes: found.met && found.cause !== undefined ? [found.cause] : [],
        result: {
          ...{ kind: node.kind, label: labelOf(node), met: found.met, detail: found.detail },
          ...(found.evidence ? { evidence: found.evidence } : {}),
        },
      };
    }
  }
}

/** Operands that call for a run; the others hold back. */
const TRIGGERS: ReadonlySet<string> = new Set([
  ...['any-upstream-updated', 'cron-tick', 'missing', 'newly-missing', 'newly-updated', 'failed'],
  ...['code-version-changed', 'stale', 'freshness-failing', 'initial', 'any-upstream-check-failed'],
]);

function resultOf(
  node: AutomationCondition,
  met: boolean,
  detail: string | null,
  of: readonly Evaluated[],
): ConditionResult {
  return {
    ...{ kind: node.kind, label: labelOf(node), met, detail },
    of: of.map(({ result }) => result),
  };
}

function allOf(node: AutomationCondition, of: readonly Evaluated[]): Evaluated {
  const met = of.every((one) => one.met);
  const triggers = of.filter(({ wanted }) => wanted !== null);
  const wanted = triggers.length === 0 ? null : triggers.every((one) => one.wanted === true);
  return {
    ...{ met, wanted, result: resultOf(node, met, null, of) },
    causes: of.flatMap(({ causes }) => causes),
  };
}

function anyOf(node: AutomationCondition, of: readonly Evaluated[]): Evaluated {
  const met = of.some((one) => one.met);
  const some = of.some(({ wanted, met: isMet }) => wanted ?? isMet);
  const wanted = of.every((one) => one.wanted === null) ? null : some;
  // Those that are held back call for nothing yet, unless nothing else does.
  const calling = of.filter((one) => (met ? one.met : one.wanted === true));
  return {
    ...{ met, wanted, result: resultOf(node, met, null, of) },
    causes: calling.flatMap(({ causes }) => causes),
  };
}

function newlyTrue(
  node: Extract<AutomationCondition, { kind: 'not' | 'newly-true' }>,
  place: string,
  look: Look,
  kept: Remembered,
): Evaluated {
  const of = visit(node.of, `${place}.0`, look, kept);
  if (of.met) kept.was.push(place);
  const { before, now, subject } = look;
  const wasTrue = before.hash === subject.hash && before.was.includes(place);
  const met = of.met && !wasTrue;
  return {
    ...{ met, wanted: met, result: resultOf(node, met, null, [of]) },
    causes: met ? [...of.causes, `newly:${place}:${now}`] : [],
  };
}

function since(
  node: Extract<AutomationCondition, { kind: 'since' }>,
  place: string,
  look: Look,
  kept: Remembered,
): Evaluated {
  const trigger = visit(node.trigger, `${place}.0`, look, kept);
  const reset = visit(node.reset, `${place}.1`, look, kept);
  const { before, now, subject } = look;
  const stood = before.hash === subject.hash ? before.since[place] : undefined;
  // Where both come true at once, the reset counts.
  const state = reset.met
    ? undefined
    : trigger.met
      ? { at: stood?.at ?? now, cause: causeOf(trigger, now) }
      : stood;
  if (state) kept.since[place] = state;
  const met = state !== undefined;
  const detail = state ? `since ${moment(state.at)}` : null;
  return {
    ...{ met, wanted: met, result: resultOf(node, met, detail, [trigger, reset]) },
    causes: state ? [state.cause] : [],
  };
}

function causeOf({ causes }: Evaluated, now: number): string {
  return causes.length === 0 ? `since:${now}` : causes.join('&');
}
