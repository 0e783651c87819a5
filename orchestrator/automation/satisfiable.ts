/**
 * Whether a condition can ever be true of an asset. One that cannot would be held back, or idle, for ever, and nobody
 * would know why; so its file is told. Each operand may be true or false as it likes, the same operand the same
 * everywhere: what is refused for certain contradicts itself, or asks for upstreams that there are not. Pure.
 */
import type { AutomationCondition, UpstreamChoice } from '../../domain/automation.ts';
import { canonicalJson } from '../../domain/run.ts';
import { isChosen, needsUpstream, nodesOf } from './condition.ts';
import { labelOf, textOf } from './words.ts';

/** Of more operands nothing is said: their combinations are too many to be tried. */
const MAX_OPERANDS = 12;

/** What is wrong with it, in words; null where nothing is. @param upstreams keys that the asset is made from */
export function neverTrue(
  condition: AutomationCondition,
  upstreams: readonly string[],
): string | null {
  const unknown = unknownIn(condition, upstreams);
  if (unknown !== null) return unknown;
  if (canBeTrue(condition, upstreams)) return null;
  const empty = nodesOf(condition).find((node) => lacksUpstream(node, upstreams));
  const why = empty ? ` ("${labelOf(empty)}" has no upstream to look at)` : '';
  return `${textOf(condition)} can never be true${why}`;
}

function unknownIn(condition: AutomationCondition, upstreams: readonly string[]): string | null {
  for (const node of nodesOf(condition)) {
    const { only = [] } = node as UpstreamChoice;
    const key = only.find((one) => !upstreams.includes(one));
    if (key === undefined) continue;
    const those = upstreams.length === 0 ? 'it has none' : `they are ${upstreams.join(', ')}`;
    return `"${labelOf(node)}": ${key} is not among its upstreams: ${those}`;
  }
  return null;
}

function canBeTrue(condition: AutomationCondition, upstreams: readonly string[]): boolean {
  const places = new Map<string, number>();
  const free = (name: string) => {
    const known = places.get(name) ?? places.size;
    places.set(name, known);
    return (bits: number) => (bits & (1 << known)) !== 0;
  };
  const holds = truthOf(condition, upstreams, free);
  if (places.size > MAX_OPERANDS) return true;
  for (let bits = 0; bits < 1 << places.size; bits += 1) if (holds(bits)) return true;
  return false;
}

type Truth = (bits: number) => boolean;

function truthOf(
  node: AutomationCondition,
  upstreams: readonly string[],
  free: (name: string) => Truth,
): Truth {
  switch (node.kind) {
    case 'all':
    case 'any': {
      const of = node.of.map((one) => truthOf(one, upstreams, free));
      return node.kind === 'all'
        ? (bits) => of.every((one) => one(bits))
        : (bits) => of.some((one) => one(bits));
    }
    case 'not': {
      const of = truthOf(node.of, upstreams, free);
      return (bits) => !of(bits);
    }
    case 'newly-true': {
      const of = truthOf(node.of, upstreams, free);
      const isNew = free(canonicalJson(node));
      return (bits) => of(bits) && isNew(bits);
    }
    case 'since': {
      if (!canBeTrue(node.trigger, upstreams)) return () => false;
      const reset = truthOf(node.reset, upstreams, free);
      const stands = free(canonicalJson(node));
      return (bits) => !reset(bits) && stands(bits);
    }
    default:
      return lacksUpstream(node, upstreams) ? () => false : free(canonicalJson(node));
  }
}

function lacksUpstream(node: AutomationCondition, upstreams: readonly string[]): boolean {
  return needsUpstream(node) && !upstreams.some((key) => isChosen(node, key));
}
