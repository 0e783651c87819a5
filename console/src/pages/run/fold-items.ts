/**
 * Items of mapped tasks: a task over thousands of items is one row, with the time of all of them; its items are looked
 * at in pages. A few items stand as rows of their own, and so does the one that is chosen.
 */
import type { Task, TaskState } from '../../../../domain/run.ts';

/** More items than this are folded. */
const MOST_ROWS = 8;

export interface Folded {
  readonly tasks: readonly Task[];
  /** Items of each mapped task, by its key. */
  readonly items: ReadonlyMap<string, readonly Task[]>;
}

export function foldItems(tasks: readonly Task[], selected: string | null): Folded {
  const items = new Map<string, Task[]>();
  for (const task of tasks) {
    if (task.mappedFrom === undefined) continue;
    const known = items.get(task.mappedFrom);
    if (known) known.push(task);
    else items.set(task.mappedFrom, [task]);
  }
  if (items.size === 0) return { tasks, items };
  const rows = tasks.flatMap((task) => {
    const own = items.get(task.key);
    if (own) return [spanned(task, own)];
    const beside = task.mappedFrom === undefined ? 0 : (items.get(task.mappedFrom)?.length ?? 0);
    return beside <= MOST_ROWS || task.key === selected ? [task] : [];
  });
  return { tasks: rows, items };
}

/** A mapped task with the time of its items: it has none of its own. */
function spanned(task: Task, items: readonly Task[]): Task {
  const times = (of: (item: Task) => string | null) =>
    items
      .map(of)
      .filter((at) => at !== null)
      .toSorted();
  const ends = times(({ finishedAt }) => finishedAt);
  const lastEnd = ends.length === items.length ? (ends.at(-1) ?? null) : null;
  return {
    ...task,
    queuedAt: task.queuedAt ?? times(({ queuedAt }) => queuedAt)[0] ?? null,
    startedAt: task.startedAt ?? times(({ startedAt }) => startedAt)[0] ?? null,
    finishedAt: task.finishedAt ?? lastEnd,
  };
}

/** How many items are in which state, the commonest first. */
export function statesOf(items: readonly Task[]): readonly { state: TaskState; count: number }[] {
  const counts = new Map<TaskState, number>();
  for (const { state } of items) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts]
    .map(([state, count]) => ({ state, count }))
    .toSorted((a, b) => b.count - a.count);
}
