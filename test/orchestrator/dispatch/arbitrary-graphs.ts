/** Graphs of any shape, for tests that play runs of them. */
import fc from 'fast-check';
import type { TriggerRule } from '../../../domain/trigger-rule.ts';
import type { PlannedEnd } from '../../../orchestrator/dispatch/plan.ts';
import type { TaskInput } from './graphs.ts';

export interface Shape {
  readonly after: number;
  readonly rule: number;
  readonly role: 'plain' | 'setup' | 'teardown' | 'map' | 'branch' | 'short';
  readonly items: number;
  readonly concurrency: number;
  readonly allowFailure: boolean;
  readonly retries: number;
  /** What its attempts come to, one after the other; the last one for all that follow. */
  readonly outcomes: readonly PlannedEnd['kind'][];
  readonly follow: number;
}

export const shape = (
  rules: readonly TriggerRule[],
  roles: readonly Shape['role'][],
  kinds: readonly PlannedEnd['kind'][],
) =>
  fc.record({
    after: fc.nat(),
    rule: fc.nat({ max: rules.length - 1 }),
    role: fc.constantFrom(...roles),
    items: fc.nat({ max: 4 }),
    concurrency: fc.integer({ min: 1, max: 3 }),
    allowFailure: fc.boolean(),
    retries: fc.nat({ max: 2 }),
    outcomes: fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 3 }),
    follow: fc.nat(),
  });

/** Every third bit or so: which of the tasks before it a task comes after. */
function upstreamsOf(index: number, bits: number): number[] {
  return Array.from({ length: index }, (_, at) => at).filter((at) => (bits >> (at % 30)) % 3 === 1);
}

/** Tasks of these shapes. */
export function tasksOf(shapes: readonly Shape[], rules: readonly TriggerRule[]): TaskInput[] {
  const setups = shapes.flatMap(({ role }, index) => (role === 'setup' ? [index] : []));
  return shapes.map(({ role, ...given }, index): TaskInput => {
    const after = upstreamsOf(index, given.after);
    const common = {
      key: `t${index}`,
      after: after.map((at) => `t${at}`),
      retries: given.retries,
      ...(given.allowFailure ? { allowFailure: true } : {}),
    };
    if (role === 'teardown') {
      const of = setups.filter((setup) => setup < index).slice(-1);
      return { ...common, teardown: { setups: of.map((at) => `t${at}`), failRun: false } };
    }
    const triggerRule = rules[given.rule] ?? 'all-succeeded';
    const map = { over: `t${after[0]}`, maxItems: 3, concurrency: given.concurrency };
    return {
      ...common,
      triggerRule,
      ...(role === 'setup' ? { setup: true } : {}),
      ...(role === 'map' && after.length > 0 ? { map } : {}),
    };
  });
}

export const KINDS: readonly PlannedEnd['kind'][] = [
  'succeeded',
  'succeeded',
  'failed',
  'skipped',
  'lost',
  'handed-back',
];
export const ROLES: readonly Shape['role'][] = [
  'plain',
  'plain',
  'setup',
  'teardown',
  'map',
  'branch',
  'short',
];
