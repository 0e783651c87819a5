/** Why a task never ran, in words: the rule that said so and the tasks that it looked at. */
import { isFailure, isSkip, NOT_CHOSEN, SUCCEEDED, taskStateOf } from '../dispatch/task-codes.ts';
import { expansionOf } from './expansion.ts';
import type { Version } from './versions.ts';

/** Tasks that one reason names. */
const MAX_NAMED = 3;

/** @returns undefined where its state says all */
export function reasonOf(
  version: Version,
  codeOf: (task: number) => number,
  task: number,
): string | undefined {
  const code = codeOf(task);
  const gates = version.gates[version.tasks[task]?.instance?.of ?? task] ?? [];
  const name = (which: (upstream: number) => boolean) => {
    const found = gates.filter(which);
    const named = found.slice(0, MAX_NAMED).map((each) => wordsOf(version, codeOf, each));
    const more = found.length > MAX_NAMED ? [`${found.length - MAX_NAMED} more`] : [];
    return [...named, ...more].join(', ');
  };
  if (code === NOT_CHOSEN) {
    const deciders = gates.filter(
      (each) => version.tasks[each]?.type && codeOf(each) === SUCCEEDED,
    );
    const keys = deciders.map((each) => version.tasks[each]?.key ?? '').join(', ');
    return keys === '' ? 'a branch before it went another way' : `${keys} went another way`;
  }
  if (taskStateOf(code) === 'upstream-failed') return name((each) => isFailure(codeOf(each)));
  // One that nothing comes before skipped itself, or was skipped with its whole run.
  if (!isSkip(code) || gates.length === 0) return undefined;
  if (expansionOf(version, task)?.[2] === 0) return 'its list has no items';
  const rule = version.tasks[task]?.triggerRule ?? 'all-succeeded';
  const skipped = name((each) => isSkip(codeOf(each)));
  return `the rule ${rule} does not hold${skipped === '' ? '' : `: ${skipped}`}`;
}

function wordsOf(version: Version, codeOf: (task: number) => number, task: number): string {
  const state = taskStateOf(codeOf(task));
  const words = { skipped: 'was skipped', cancelled: 'was cancelled', failed: 'failed' };
  const said = words[state as keyof typeof words] ?? `is ${state}`;
  return `${version.tasks[task]?.key ?? ''} ${said}`;
}
