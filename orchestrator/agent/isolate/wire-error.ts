/** Errors that pass from one process to another and mean there what they meant here. */
import { type ErrorCode, SignalboxError } from '../../../domain/errors.ts';
import { Aborted, toRunError } from '../failure.ts';
import type { WireError } from './messages.ts';

export function toWire(thrown: unknown): WireError {
  const error = toRunError(thrown);
  if (thrown instanceof SignalboxError) return { ...error, code: thrown.code };
  return thrown instanceof Aborted ? { ...error, kind: thrown.kind } : error;
}

export function fromWire({ name, message, stack, code, kind }: WireError): Error {
  if (kind !== undefined) return new Aborted(kind, message);
  if (code !== undefined) return new SignalboxError(code as ErrorCode, message);
  const error = new Error(message);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
