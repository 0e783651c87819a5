/**
 * What lies between a setup and its teardown. A teardown must not tidy up under a task that still runs, so it waits
 * for all of them and not only for those that it names: one of these may be over (upstream-failed, skipped) while
 * something further up is not.
 */
import type { GraphTask } from './graph.ts';

/** Completes teardowns; other tasks stay as they are. */
export function spanOf(tasks: readonly GraphTask[]): (task: GraphTask, index: number) => GraphTask {
  const dependents = tasks.map((): number[] => []);
  for (const [index, task] of tasks.entries()) {
    for (const upstream of task.after) dependents[upstream]?.push(index);
  }
  const down = (from: readonly number[]) => reach(from, (index) => dependents[index] ?? []);
  const up = (from: readonly number[]) => reach(from, (index) => tasks[index]?.after ?? []);
  return (task, index) => {
    if (!task.teardown) return task;
    const { setups } = task.teardown;
    const above = up([index]);
    const named = task.after.some((upstream) => !setups.includes(upstream));
    const below = setups.length === 0 ? above : down(setups);
    const spanned = named ? above : without(below, down([index]));
    const between = [...spanned].filter(
      (each) =>
        each !== index && below.has(each) && !task.after.includes(each) && !tasks[each]?.teardown,
    );
    return between.length === 0 ? task : { ...task, between: between.sort((a, b) => a - b) };
  };
}

function without(all: ReadonlySet<number>, some: ReadonlySet<number>): ReadonlySet<number> {
  return new Set([...all].filter((index) => !some.has(index)));
}

/** Everything that steps lead to, without the beginning itself unless a step leads back to it. */
function reach(
  from: readonly number[],
  step: (index: number) => readonly number[],
): ReadonlySet<number> {
  const found = new Set<number>();
  const left = [...from];
  for (let index = left.pop(); index !== undefined; index = left.pop()) {
    for (const next of step(index)) {
      if (found.has(next)) continue;
      found.add(next);
      left.push(next);
    }
  }
  return found;
}
