/**
 * An error as it is recorded: name, message, code and stack, and the errors that caused it. Nothing else of it is kept,
 * since clients hang queries, rows and whole configurations on their errors; passwords in URLs, tokens and the like are
 * taken out of the texts.
 */

import type { ErrorCause, RunError } from '../../domain/run.ts';
import { withoutSecrets } from '../../domain/without-secrets.ts';

const MAX_MESSAGE = 10_000;
const MAX_CAUSE_MESSAGE = 2_000;
const MAX_STACK = 20_000;
const MAX_NAME = 200;
const MAX_CODE = 100;
const MAX_CAUSES = 5;
/** Characters of a secret and what it is known by. */
const LONGEST_SECRET = 1_000;

export function toRunError(thrown: unknown): RunError {
  if (!(thrown instanceof Error)) {
    return { name: 'Error', message: text(`it threw ${show(thrown)}`, MAX_MESSAGE) };
  }
  const stack = text(stackOf(thrown), MAX_STACK);
  return {
    ...described(thrown, MAX_MESSAGE),
    ...(stack === '' ? {} : { stack }),
    ...causeOf(thrown, MAX_CAUSES),
  };
}

function described(error: Error, limit: number): ErrorCause {
  const code = codeOf(error);
  return {
    name: text(String(error.name), MAX_NAME),
    message: text(messageOf(error), limit),
    ...(code === undefined ? {} : { code: text(code, MAX_CODE) }),
  };
}

/** Several errors in one tend to have no message of their own: a connection that was refused at each address. */
function messageOf(error: Error): string {
  const message = String(error.message);
  if (message !== '' || !(error instanceof AggregateError)) return message;
  return error.errors
    .slice(0, MAX_CAUSES)
    .map((one) => (one instanceof Error ? one.message : show(one)))
    .join('; ');
}

function causeOf(error: Error, left: number): { cause?: ErrorCause } {
  const { cause } = error;
  if (cause === undefined || cause === null || left === 0) return {};
  if (cause instanceof Error) {
    return { cause: { ...described(cause, MAX_CAUSE_MESSAGE), ...causeOf(cause, left - 1) } };
  }
  return { cause: { name: 'Error', message: text(show(cause), MAX_CAUSE_MESSAGE) } };
}

/**
 * What a program goes by: `ECONNREFUSED` of Node, the SQLSTATE of PostgreSQL, a code of Signalbox. Numbers of the web's
 * exceptions (20 for AbortError) say no more than their names.
 */
function codeOf(error: Error): string | undefined {
  if (error instanceof DOMException || !('code' in error)) return undefined;
  const { code } = error;
  if (typeof code === 'number') return String(code);
  return typeof code === 'string' && code !== '' ? code : undefined;
}

/**
 * Cut first, so that no pattern runs over much more than is kept. Of what was cut off, the end is not told: a secret
 * that the cut goes through is no longer seen to be one.
 */
function text(value: string, limit: number): string {
  const looked = limit + LONGEST_SECRET;
  const told = withoutSecrets(value.slice(0, looked));
  const kept = value.length > looked ? Math.max(0, told.length - LONGEST_SECRET) : told.length;
  return told.slice(0, Math.min(limit, kept));
}

function show(thrown: unknown): string {
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return String(thrown);
  }
}

function stackOf(error: Error): string {
  const parts = [error.stack ?? ''];
  let cause: unknown = error.cause;
  for (let depth = 0; cause instanceof Error && depth < MAX_CAUSES; depth++) {
    parts.push(`caused by ${cause.stack ?? cause.message}`);
    cause = cause.cause;
  }
  return parts.join('\n');
}
