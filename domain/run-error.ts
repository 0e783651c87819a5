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

const PASSWORD_IN_URL = /([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@]{0,200}):[^\s/]{1,500}@/gi;
const AUTHORIZATION = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi;
const ASSIGNED = /\b(password|passwd|pwd|secret|token|api[_-]?key)=[^\s&;,'"]+/gi;

/** A text without the passwords and tokens that messages of clients tend to hold. */
export function withoutSecrets(text: string): string {
  return text
    .replace(PASSWORD_IN_URL, '$1:***@')
    .replace(AUTHORIZATION, '$1 ***')
    .replace(ASSIGNED, '$1=***');
}
