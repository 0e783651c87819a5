/** Compositions of conditions against what they mean, over histories of looks that chance makes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AutomationCondition } from '../../../domain/automation.ts';
import { NO_MEMORY } from '../../../orchestrator/automation/facts.ts';
import { look, MINUTE, own, subjectOf, T0 } from './facts.ts';

/** What is so at a moment. */
interface Moment {
  readonly made: boolean;
  readonly failed: boolean;
  readonly stale: boolean;
}

const leaf: fc.Arbitrary<AutomationCondition> = fc.constantFrom(
  { kind: 'missing' } as const,
  { kind: 'failed' } as const,
  { kind: 'freshness-failing' } as const,
);

const condition = fc.letrec<{ node: AutomationCondition }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    fc.record({
      kind: fc.constantFrom('all' as const, 'any' as const),
      of: fc.array(tie('node'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constantFrom('not' as const, 'newly-true' as const), of: tie('node') }),
    fc.record({ kind: fc.constant('since' as const), trigger: tie('node'), reset: tie('node') }),
  ),
})).node;

const history = fc.array(
  fc.record({ made: fc.boolean(), failed: fc.boolean(), stale: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);

/** Truth in the last of some moments, out of all of them: no memory, only what the words mean. */
function holds(node: AutomationCondition, moments: readonly Moment[]): boolean {
  const last = moments.at(-1);
  if (!last) return false;
  const before = moments.slice(0, -1);
  switch (node.kind) {
    case 'all':
      return node.of.every((one) => holds(one, moments));
    case 'any':
      return node.of.some((one) => holds(one, moments));
    case 'not':
      return !holds(node.of, moments);
    case 'newly-true':
      return holds(node.of, moments) && !holds(node.of, before);
    case 'since':
      if (holds(node.reset, moments)) return false;
      return holds(node.trigger, moments) || holds(node, before);
    case 'missing':
      return !last.made;
    case 'failed':
      return last.failed;
    case 'freshness-failing':
      return last.stale;
    default:
      throw new Error(node.kind);
  }
}

describe('a composition of conditions', () => {
  it('is true exactly where its words say so, whatever happened before', () => {
    fc.assert(
      fc.property(condition, history, (json, moments) => {
        let memory = NO_MEMORY;
        for (const [index, { made, failed, stale }] of moments.entries()) {
          const now = T0 + index * MINUTE;
          const facts = own({
            marker: made ? 'version' : null,
            recordedAt: made ? T0 : null,
            failed: failed ? { at: T0, runId: null, message: 'no disk' } : null,
            freshness: stale ? 'stale' : 'fresh',
          });
          const found = look(subjectOf(json, { own: facts, memory }), now);
          expect(found.condition?.met).toBe(holds(json, moments.slice(0, index + 1)));
          // What is remembered survives being stored.
          memory = JSON.parse(JSON.stringify(found.memory)) as typeof memory;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('that is called for and held back says by what, and one that is true is asked for once for each cause', () => {
    fc.assert(
      fc.property(condition, history, (json, moments) => {
        let memory = NO_MEMORY;
        const causes: string[] = [];
        for (const [index, { failed, stale }] of moments.entries()) {
          // What was made stays: what goes and comes is called for anew.
          const made = moments.slice(0, index + 1).some((one) => one.made);
          const facts = own({
            marker: made ? 'version' : null,
            recordedAt: made ? T0 : null,
            failed: failed ? { at: T0, runId: null, message: 'no disk' } : null,
            freshness: stale ? 'stale' : 'fresh',
          });
          const found = look(subjectOf(json, { own: facts, memory }), T0 + index * MINUTE);
          expect(found.reason.message).not.toBe('');
          if (found.decision === 'requested') {
            expect(found.condition?.met).toBe(true);
            expect(found.cause).not.toBe(causes.at(-1));
            causes.push(found.cause ?? '');
          }
          const request = { runId: 'r', at: T0, cause: found.cause ?? '', own: facts.marker };
          memory = {
            ...found.memory,
            ...(found.decision === 'requested' ? { request, requests: causes.length } : {}),
          };
        }
      }),
      { numRuns: 500 },
    );
  });
});
