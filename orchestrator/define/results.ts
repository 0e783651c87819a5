/** Results that are kept for later executions: `cache` of a task. */
import { DefinitionError, type Read, spanMs } from './options.ts';

/** What tells executions apart that give the same result. */
export type CacheKey = string | readonly string[];

export interface CacheOptions<C> {
  /** Executions with the same key give the same result; of a mapped task it is given the item as well. */
  readonly key: (ctx: C, item?: unknown, index?: number) => CacheKey | Promise<CacheKey>;
  /** How long a result is taken for fresh; without end unless told. */
  readonly expires?: string | number;
  /** Changed with the code, so that results of the old code are not taken any more. */
  readonly version?: string | number;
}

export interface CachedOptions {
  /** How long the result is taken for fresh; without end unless told. */
  readonly expires?: string | number;
  /** Changed with the code, so that results of the old code are not taken any more. */
  readonly version?: string | number;
}

/** `cache` of a task as it is read. */
export interface CacheRule {
  readonly key: (ctx: unknown, item: unknown, index: unknown) => unknown;
  readonly expiresInMs: number | null;
  readonly version: string;
  /** Whether the key is a hash of the parameters and of the results that the task comes after. */
  readonly ofInputs: boolean;
}

type Code = (...args: never[]) => unknown;

const CACHE = Symbol.for('signalbox.cache');
const INPUTS = Symbol.for('signalbox.inputs-hash');
const MAX_VERSION = 500;

/** A key for `cache`: a hash of the run's parameters and of all that the task comes after gave (or of its item). */
export function inputsHash(): () => CacheKey {
  const key = (): CacheKey => {
    throw new Error('inputsHash() is for the option "cache" of a task');
  };
  return Object.assign(key, { [INPUTS]: true });
}

export const readCache: Read<CacheRule | null> = (value) => {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'object') throw new DefinitionError('must be an object with a key');
  const { key, expires, version = '', ...others } = value as Partial<CacheOptions<unknown>>;
  const [other] = Object.keys(others);
  if (other !== undefined) throw new DefinitionError(`has no option ${JSON.stringify(other)}`);
  if (typeof key !== 'function') {
    throw new DefinitionError('needs a key: a function of the context, or inputsHash()');
  }
  if (String(version).length > MAX_VERSION) throw new DefinitionError('has too long a version');
  return {
    key: key as CacheRule['key'],
    expiresInMs: expires === undefined ? null : spanMs(expires),
    version: String(version),
    ofInputs: INPUTS in key,
  };
};

/** The handler of a task with its rule. @throws DefinitionError for a task that does more than give a result */
export function withCache<H extends Code>(
  handler: H,
  rule: CacheRule | null,
  task: { readonly type?: unknown; readonly produces?: unknown },
): H {
  if (rule === null) return handler;
  if (task.type !== undefined || task.produces !== undefined) {
    throw new DefinitionError('"cache" is for tasks that only give a result');
  }
  // A function of its own: one handler may be that of several tasks.
  const own = (...args: never[]) => handler(...args);
  return Object.assign(own, { [CACHE]: rule }) as unknown as H;
}

export function cacheRuleOf(handler: Code): CacheRule | null {
  return (handler as { readonly [CACHE]?: CacheRule })[CACHE] ?? null;
}
