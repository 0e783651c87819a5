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

/** The choice of a decision; undefined for any other value. */
export function choiceOf(value: unknown): BranchChoice | undefined {
  return typeof value === 'object' && value !== null && DECISION in value
    ? (value as Decision)[DECISION]
    : undefined;
}
