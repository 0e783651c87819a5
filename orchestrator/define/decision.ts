/** What the code of a branch or a short circuit gives back beside its result; told by a registered symbol. */
import type { BranchChoice } from '../../domain/task-graph.ts';

const DECISION = Symbol.for('signalbox.decision');

export interface Decision {
  readonly [DECISION]: BranchChoice;
  readonly result: unknown;
}

export function decision(result: unknown, choice: BranchChoice): Decision {
  return { [DECISION]: choice, result };
}

/** The choice of a decision and the result beside it; undefined for any other value. */
export function decisionOf(
  value: unknown,
): { readonly choice: BranchChoice; readonly result: unknown } | undefined {
  if (typeof value !== 'object' || value === null || !(DECISION in value)) return undefined;
  const decision = value as Decision;
  return { choice: decision[DECISION], result: decision.result };
}
