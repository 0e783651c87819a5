/** Order between assets out of their edges. */
export interface Edge {
  readonly upstream: string;
  readonly downstream: string;
}

/**
 * The keys so that each comes after what it depends on, nearest to the top first. What is part of a circle comes
 * last, in the order given.
 */
export function inDependencyOrder(
  keys: readonly string[],
  edges: readonly Edge[],
): readonly string[] {
  const chosen = new Set(keys);
  const waiting = new Map(keys.map((key) => [key, 0]));
  const below = new Map<string, string[]>();
  for (const { upstream, downstream } of edges) {
    if (!chosen.has(upstream) || !chosen.has(downstream) || upstream === downstream) continue;
    waiting.set(downstream, (waiting.get(downstream) ?? 0) + 1);
    append(below, upstream, downstream);
  }
  const ordered = keys.filter((key) => waiting.get(key) === 0);
  const done = new Set(ordered);
  for (const key of ordered) {
    for (const next of below.get(key) ?? []) {
      const left = (waiting.get(next) ?? 0) - 1;
      waiting.set(next, left);
      if (left > 0 || done.has(next)) continue;
      done.add(next);
      ordered.push(next);
    }
  }
  return [...ordered, ...keys.filter((key) => !done.has(key))];
}

/**
 * For each chosen key the chosen keys that it must come after: its dependencies, and where one of them is not
 * chosen, what that one depends on in its turn.
 */
export function dependenciesAmong(
  chosen: readonly string[],
  edges: readonly Edge[],
): ReadonlyMap<string, readonly string[]> {
  const among = new Set(chosen);
  const above = new Map<string, string[]>();
  for (const { upstream, downstream } of edges) append(above, downstream, upstream);
  const found = (key: string) => {
    const result = new Set<string>();
    const seen = new Set([key]);
    const stack = [...(above.get(key) ?? [])];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      if (among.has(next)) result.add(next);
      else stack.push(...(above.get(next) ?? []));
    }
    return [...result];
  };
  return new Map(chosen.map((key) => [key, found(key)]));
}

/** Adds to the list under a key. */
export function append(lists: Map<string, string[]>, key: string, value: string): void {
  const known = lists.get(key);
  if (known) known.push(value);
  else lists.set(key, [value]);
}
