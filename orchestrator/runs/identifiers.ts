/** Forms of ids that come from outside: what has another form names nothing, and never reaches a statement. */
import { SignalboxError } from '../../domain/errors.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Fits into a 64-bit integer. */
const TOKEN = /^\d{1,18}$/;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** @throws SignalboxError `not-found` for what is not an id of a run */
export function checkRunId(id: string): string {
  if (isUuid(id)) return id.toLowerCase();
  throw new SignalboxError('not-found', `there is no run ${JSON.stringify(id.slice(0, 60))}`);
}

/** Whether the text has the form of a fencing token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}
