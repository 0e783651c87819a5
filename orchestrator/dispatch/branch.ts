/** What a branch chose, read against the run's graph: only what comes directly after it can be chosen. */

import type { RunError } from '../../domain/run.ts';
import type { BranchChoice } from '../../domain/task-graph.ts';
import type { Version } from '../runs/versions.ts';
import type { PlannedBranch } from './progress.ts';

/** Keys that a message lists. */
const MAX_LISTED = 50;

/** The choice by indexes, or the error of a branch that names something else. */
export function readBranch(
  version: Version,
  task: number,
  { follow, skipAll = false }: BranchChoice,
): { readonly branch: PlannedBranch } | { readonly error: RunError } {
  const possible = new Set(
    (version.dependents[task] ?? []).filter((dependent) => {
      const { after, teardown } = version.tasks[dependent] ?? {};
      return after?.includes(task) && !teardown;
    }),
  );
  const chosen = follow.map((key) => version.indexOf.get(key) ?? -1);
  const wrong = follow.find((_, index) => !possible.has(chosen[index] ?? -1));
  if (wrong === undefined) return { branch: { follow: chosen, skipAll } };
  const known = version.indexOf.has(wrong)
    ? 'which does not come directly after it'
    : 'which is not a task of the workflow';
  const keys = [...possible].slice(0, MAX_LISTED).map((index) => version.tasks[index]?.key ?? '');
  const list = keys.length === 0 ? 'nothing comes after it' : `it can choose ${keys.join(', ')}`;
  const message = `the branch chose ${JSON.stringify(wrong)}, ${known}; ${list}`;
  return { error: { name: 'BranchError', message } };
}
