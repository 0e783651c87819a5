/**
 * Finds what JSON would silently turn into something else: a Map, a Set, a promise that nobody awaited (`{}`), a
 * number that is none (`null`), an Error. What JSON users know stays as it is: a Date and all with `toJSON` is
 * written by it, an instance of a class by its fields, `undefined` and functions are left out (`null` in lists).
 * Looked for after the text was made, so that nothing goes in a circle; a walk costs less than a replacer, which is
 * called for each value.
 */

const PLAIN = Object.prototype;
const WORD = /^[\p{L}_$][\p{L}\p{N}_$]*$/u;
const MAX_DEPTH = 1_000;

/** Where it is (`.rows[3].price`, empty for the whole) and what. */
interface Oddity {
  readonly path: string;
  readonly what: string;
}

/** @returns null where the JSON text says what the value says; of what is deeper than 1,000 levels nothing is told */
export function oddityIn(value: unknown): Oddity | null {
  if (typeof value === 'string' || value === null || value === undefined) return null;
  const path: (string | number)[] = [];
  const what = look(value, path, true);
  return what === null ? null : { path: path.reverse().map(show).join(''), what };
}

/** What is odd; the way to it is put into `path` from its end. */
function look(
  value: unknown,
  path: (string | number)[],
  isWhole: boolean,
  depth = 0,
): string | null {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? null : `${value}${isWhole ? '' : ' (give null or a text)'}`;
    case 'bigint':
      return 'a BigInt (give a number or a text)';
    case 'function':
      return isWhole ? 'a function' : null;
    case 'symbol':
      return isWhole ? 'a symbol' : null;
    case 'object':
      return value === null || depth > MAX_DEPTH ? null : lookInto(value, path, depth + 1);
    default:
      return null;
  }
}

function lookInto(value: object, path: (string | number)[], depth: number): string | null {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const what = look(value[index], path, false, depth);
      if (what === null) continue;
      path.push(index);
      return what;
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== PLAIN && prototype !== null) {
    const what = lookAtClass(value);
    if (what !== null) return what;
  }
  // Its own text speaks for it.
  if ('toJSON' in value) return null;
  for (const key of Object.keys(value)) {
    const what = look((value as Readonly<Record<string, unknown>>)[key], path, false, depth);
    if (what === null) continue;
    path.push(key);
    return what;
  }
  return null;
}

function lookAtClass(value: object): string | null {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'a Date that is none' : null;
  if ('toJSON' in value) return null;
  if (value instanceof Map) return 'a Map (give Object.fromEntries(map))';
  if (value instanceof Set) return 'a Set (give [...set])';
  if (value instanceof Promise) return 'a Promise (await it)';
  if (value instanceof Error) return 'an Error (give error.message)';
  if (value instanceof RegExp) return 'a RegExp (give its source)';
  if (value instanceof WeakMap || value instanceof WeakSet)
    return 'a collection that cannot be read';
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return 'bytes (give a text in base64; bytes alone are a result too)';
  }
  return null;
}

function show(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return WORD.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
