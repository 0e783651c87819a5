/** Ids are UUIDv7: a moment is a bound between ids. */
import type { EpochMs } from '../../domain/time.ts';

const TIME_DIGITS = 12;

/** The least id of a moment. */
export function firstIdAt(at: EpochMs): string {
  const hex = Math.max(0, Math.floor(at)).toString(16).padStart(TIME_DIGITS, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Moment of an id; 0 for an empty text. */
export function timeOf(id: string): EpochMs {
  return Number.parseInt(id.replaceAll('-', '').slice(0, TIME_DIGITS) || '0', 16);
}
