/** Errors that pass from one process to another and mean there what they meant here. */
import { SignalboxError } from '../../../domain/errors.ts';
import { toRunError } from '../error-record.ts';
import { Aborted, fromRecord } from '../failure.ts';
import type { WireError } from './messages.ts';

export function toWire(thrown: unknown): WireError {
  const error = toRunError(thrown);
  if (thrown instanceof SignalboxError) return { ...error, signalbox: thrown.code };
  return thrown instanceof Aborted ? { ...error, kind: thrown.kind } : error;
}

export function fromWire({ signalbox, kind, ...error }: WireError): Error {
  if (kind !== undefined) return new Aborted(kind, error.message);
  if (signalbox !== undefined) return new SignalboxError(signalbox, error.message);
  return fromRecord(error);
}
