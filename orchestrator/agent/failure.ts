/** Why attempts end otherwise than well, and how that is told. */
import type { Completion } from '../../domain/agent-protocol.ts';
import type { RunError } from '../../domain/run.ts';
import type { RetryRule } from '../define/retry-rule.ts';
import { toRunError } from './error-record.ts';

/** What an attempt is aborted with; stands in `ctx.signal.reason`. */
export class Aborted extends Error {
  override readonly name: string;
  /** `lost`: somebody else holds the task, or will. Its end is not told. */
  readonly kind: 'cancelled' | 'timeout' | 'lost' | 'stopping';

  constructor(kind: Aborted['kind'], message: string) {
    super(message);
    this.kind = kind;
    this.name = kind === 'timeout' ? 'TimeLimitError' : 'Aborted';
  }
}

const FINAL = new Set(['NoRetryError', 'DefinitionError', 'StepKeyError', 'OnceUnknownError']);

/** Whether another attempt could not mend it; by name, since a project may hold another copy of the class. */
function isFinal(thrown: unknown): boolean {
  return thrown instanceof Error && FINAL.has(thrown.name);
}

/** Longest delay that an error may ask for; 31 days. */
const MAX_RETRY_AFTER_MS = 2_678_400_000;

/** How an attempt ends whose code threw this: skipped where it asked for that, else failed. */
export function endOfThrown(
  thrown: unknown,
  mayRetry: RetryRule | undefined,
): Pick<Completion, 'state' | 'final' | 'retryAfterMs'> & { readonly error: RunError } {
  const error = toRunError(thrown);
  if (isSkip(thrown)) return { state: 'skipped', error };
  if (isFinal(thrown) || (mayRetry && !isMended(mayRetry, thrown))) {
    return { state: 'failed', final: true, error };
  }
  const afterMs = thrown instanceof Error && 'afterMs' in thrown ? thrown.afterMs : undefined;
  if (typeof afterMs !== 'number' || !(afterMs >= 0)) return { state: 'failed', error };
  return { state: 'failed', retryAfterMs: Math.min(MAX_RETRY_AFTER_MS, afterMs), error };
}

/** Whether the code asked for its attempt to be skipped; by name, as above. */
export function isSkip(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'SkipError';
}

/** A rule that fails itself forbids nothing. */
function isMended(mayRetry: RetryRule, thrown: unknown): boolean {
  try {
    return mayRetry(thrown);
  } catch {
    return true;
  }
}

/** An error again out of its record, for code that a replay leads to the same place. */
export function fromRecord(record: unknown): Error {
  const { name, message, stack, code, cause } = (record ?? {}) as Partial<RunError>;
  const error = new Error(message ?? 'a recorded failure');
  error.name = name ?? 'Error';
  if (stack !== undefined) error.stack = stack;
  if (code !== undefined) Object.assign(error, { code });
  if (cause !== undefined) error.cause = fromRecord(cause);
  return error;
}
