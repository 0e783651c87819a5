/**
 * Recorded errors as people read them: the error, its code (`ECONNREFUSED`, the SQLSTATE of a database) where its
 * message does not tell it, and what caused it, down to the first cause.
 */
import type { ErrorCause, RunError } from './run.ts';

/** In one line. */
export function errorText(error: RunError): string {
  const parts: string[] = [];
  for (let at: ErrorCause | undefined = error; at !== undefined; at = at.cause) {
    const { name, message, code } = at;
    const told = code === undefined || message.includes(code) ? '' : ` (${code})`;
    parts.push(`${message === '' ? name : `${name}: ${message}`}${told}`);
  }
  return parts.join('; caused by ');
}
