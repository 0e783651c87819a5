/**
 * Which failures are tried again. Decided in the agent, where the error is at hand as it was thrown; by names, since a
 * project may hold another copy of a class.
 */
import { DefinitionError, type Read } from './options.ts';

type ErrorClass = abstract new (...args: never[]) => Error;

/**
 * Names or classes of errors, those that extend them included; codes (`ECONNREFUSED`, the SQLSTATE `40001`) of an error
 * or of what caused it; or a function that says yes.
 */
export type ErrorMatch = string | readonly (string | ErrorClass)[] | ((error: unknown) => boolean);

/** Whether another attempt may mend this error. */
export type RetryRule = (error: unknown) => boolean;

const MAX_NAMES = 100;

/** Reads `retryOn` or `noRetryOn`. */
export const errorMatch: Read<RetryRule | null> = (value) => {
  if (value === undefined || value === null) return null;
  if (typeof value === 'function') {
    if (isErrorClass(value)) throw new DefinitionError(`must be [${value.name}], a list`);
    return (error) => Boolean((value as (error: unknown) => unknown)(error));
  }
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const names = new Set(
    list.map((one) => {
      if (typeof one === 'string' && one !== '') return one;
      if (typeof one === 'function' && isErrorClass(one)) return one.name;
      throw new DefinitionError('must be names or codes of errors, error classes, or a function');
    }),
  );
  if (names.size === 0 || names.size > MAX_NAMES) {
    throw new DefinitionError(`must name 1 to ${MAX_NAMES} errors`);
  }
  return (error) => [...namesOf(error), ...codesOf(error)].some((name) => names.has(name));
};

const MAX_CAUSES = 10;

/** Codes of an error, of its causes, and of the errors that one holds together: a refused connection lies deep. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  const queue: unknown[] = [error];
  for (const one of queue) {
    if (!(one instanceof Error) || queue.length > MAX_CAUSES) continue;
    if ('code' in one) codes.push(String(one.code));
    queue.push(one.cause, ...(one instanceof AggregateError ? one.errors : []));
  }
  return codes;
}

function isErrorClass(value: object): value is ErrorClass {
  return value === Error || ('prototype' in value && value.prototype instanceof Error);
}

/** The error's own name, and those of its class and of what that extends. */
function namesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const names = [error.name];
  for (let proto: unknown = Object.getPrototypeOf(error); proto !== null && proto !== undefined; ) {
    const made = proto as { readonly constructor?: { readonly name?: string } };
    if (made.constructor?.name) names.push(made.constructor.name);
    proto = Object.getPrototypeOf(proto);
  }
  return names;
}

interface ReadRules {
  readonly retryOn: RetryRule | null;
  readonly noRetryOn: RetryRule | null;
}

/** Rules by task key, for those tasks that have one. */
export function retryRules(
  tasks: readonly (readonly [key: string, read: ReadRules])[],
): ReadonlyMap<string, RetryRule> {
  return new Map(
    tasks.flatMap(([key, { retryOn, noRetryOn }]) => {
      if (retryOn === null && noRetryOn === null) return [];
      const rule: RetryRule = (error) => (retryOn?.(error) ?? true) && !noRetryOn?.(error);
      return [[key, rule] as const];
    }),
  );
}
