/** Cycles: what waits for itself never starts. */

/** Keys along a cycle, its first one repeated at its end; null where there is none. */
export function findCycle(
  keys: Iterable<string>,
  before: (key: string) => readonly string[],
): string[] | null {
  const done = new Set<string>();
  for (const start of keys) {
    const path: string[] = [];
    const onPath = new Set<string>();
    // A stack of its own: graphs may be deeper than the call stack.
    const open: { key: string; rest: string[] }[] = [];
    const enter = (key: string) => {
      path.push(key);
      onPath.add(key);
      open.push({ key, rest: [...before(key)] });
    };
    if (!done.has(start)) enter(start);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const next = top.rest.pop();
      if (next === undefined) {
        done.add(top.key);
        onPath.delete(top.key);
        path.pop();
        open.pop();
      } else if (onPath.has(next)) {
        return [...path.slice(path.indexOf(next)), next].reverse();
      } else if (!done.has(next)) {
        enter(next);
      }
    }
  }
  return null;
}

export function findTaskCycle(
  tasks: readonly { readonly key: string; readonly after: readonly string[] }[],
): string[] | null {
  const after = new Map(tasks.map((task) => [task.key, task.after]));
  return findCycle(after.keys(), (key) => after.get(key) ?? []);
}
