/**
 * Reads the options that users write. Every fault is told with the place and with what would be right: files
 * are read far from where they were written, by a process nobody looks at.
 */
import { parseDuration } from '../../domain/time.ts';

/** A definition that is not valid; the message is for who wrote it. */
export class DefinitionError extends Error {
  override readonly name = 'DefinitionError';
}

/** Reads one option; `undefined` where it was not given. */
export type Read<T> = (value: unknown) => T;

/**
 * Reads an object of options by their readers.
 * @throws DefinitionError that names the option, unknown ones included
 */
export function readOptions<T extends object>(
  value: unknown,
  readers: { readonly [K in keyof T]: Read<T[K]> },
): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const none =
      typeof value === 'function' ? ': {} goes before the function where there are none' : '';
    throw new DefinitionError(`the options must be an object, not ${describe(value)}${none}`);
  }
  const given = value as Record<string, unknown>;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(readers, name)) throw new DefinitionError(unknownOption(name, readers));
  }
  const result: Partial<T> = {};
  for (const name of Object.keys(readers) as (keyof T & string)[]) {
    try {
      result[name] = readers[name](given[name]);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      throw new DefinitionError(`${name}: ${detail}`);
    }
  }
  return result as T;
}

/** Adds to a definition's faults which definition they are in. */
export function inDefinition<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    throw new DefinitionError(`${place}: ${error.message}`);
  }
}

function unknownOption(name: string, readers: object): string {
  const known = Object.keys(readers);
  const close = nearest(name, known);
  const hint = close === undefined ? `known are ${known.join(', ')}` : `did you mean "${close}"?`;
  return `unknown option "${name}"; ${hint}`;
}

/** The name that was probably meant; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const [close] = known
    .map((one) => ({ one, far: distance(one.toLowerCase(), name.toLowerCase()) }))
    .filter(({ far }) => far <= 2)
    .sort((a, b) => a.far - b.far);
  return close?.one;
}

/** Edits that lead from one word to the other; two neighbours that changed places are one. */
function distance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (before[j - 2] ?? 0) + 1 : replaced;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced, swapped));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'string' ? JSON.stringify(value) : typeof value;
}

function wrong(what: string, value: unknown): DefinitionError {
  const shown = typeof value === 'number' ? String(value) : describe(value);
  return new DefinitionError(`must be ${what}, not ${shown}`);
}

/** A whole number within limits. */
export function integer(least: number, most: number, unlessTold: number): Read<number> {
  return (value = unlessTold) => {
    if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) {
      return Number(value);
    }
    throw wrong(`a whole number from ${least} to ${most}`, value);
  };
}

export function optional<T>(read: Read<T>): Read<T | null> {
  return (value) => (value === undefined || value === null ? null : read(value));
}

export function factor(least: number, most: number, unlessTold: number): Read<number> {
  return (value = unlessTold) => {
    if (typeof value === 'number' && value >= least && value <= most) return value;
    throw wrong(`a number from ${least} to ${most}`, value);
  };
}

/** Milliseconds out of a duration in any of its forms. */
export function durationMs(unlessTold?: string): Read<number> {
  return (value = unlessTold) => {
    if (typeof value !== 'string' && typeof value !== 'number') throw wrong('a duration', value);
    return parseDuration(value);
  };
}

/** A duration above zero. */
export const spanMs: Read<number> = (value) => {
  const ms = durationMs()(value);
  if (ms > 0) return ms;
  throw wrong('a duration above zero', value);
};

export function flag(unlessTold: boolean): Read<boolean> {
  return (value = unlessTold) => {
    if (typeof value === 'boolean') return value;
    throw wrong('true or false', value);
  };
}

export function oneOf<T extends string>(...words: readonly T[]): Read<T> {
  return (value) => {
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw wrong(words.map((word) => JSON.stringify(word)).join(' or '), value);
  };
}

export function text(most: number): Read<string> {
  return (value) => {
    if (typeof value === 'string' && value !== '' && value.length <= most) return value;
    throw wrong(`a text of 1 to ${most} characters`, value);
  };
}

/** A list of short texts; one text alone is a list of one. */
export const texts: Read<readonly string[]> = (value = []) => {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((one) => text(200)(one));
};

const NAME = /^[\p{L}\p{N}_$][^\s\p{C}]*$/u;
const MAX_NAME = 200;

/** Name of a workflow, a task, a pool, a queue: no spaces, since it stands in URLs and on command lines. */
export const name: Read<string> = (value) => {
  if (typeof value === 'string' && value.length <= MAX_NAME && NAME.test(value)) return value;
  throw wrong(`a name (letters, digits and signs, no spaces, at most ${MAX_NAME})`, value);
};
