/** A cache of what was used last, bounded by the sum of its entries' sizes. */
export interface Recent<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  delete(key: Key): void;
}

/**
 * Keeps what was used last.
 * @param maxSize sum of `sizeOf` over all entries
 */
export function createRecent<Key, Value>(
  maxSize: number,
  sizeOf: (value: Value) => number,
): Recent<Key, Value> {
  // Two generations: what is used of the old one moves over; a full young one becomes the old one.
  let young = new Map<Key, Value>();
  let old = new Map<Key, Value>();
  let size = 0;
  const set = (key: Key, value: Value) => {
    const before = young.get(key);
    if (before !== undefined) size -= sizeOf(before);
    young.set(key, value);
    size += sizeOf(value);
    if (size <= maxSize / 2) return;
    old = young;
    young = new Map();
    size = 0;
  };
  return {
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const kept = old.get(key);
      if (kept !== undefined) {
        old.delete(key);
        set(key, kept);
      }
      return kept;
    },
    set,
    delete(key) {
      const value = young.get(key);
      if (value !== undefined) size -= sizeOf(value);
      young.delete(key);
      old.delete(key);
    },
  };
}
