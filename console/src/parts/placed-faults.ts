/**
 * Where each fault of a refused request is shown: at the field of the form that its path names, or with the refusal
 * where no field is meant.
 */
import type { FieldFault } from '../../../domain/errors.ts';

export interface PlacedFaults {
  /** By field: `priority`, `parameters/n`. */
  readonly at: Readonly<Record<string, readonly string[]>>;
  readonly rest: readonly FieldFault[];
}

export const NO_FAULTS: PlacedFaults = { at: {}, rest: [] };

/** What to do about a refusal of which some faults stand at their fields. */
export function adviceFor(placed: PlacedFaults, advice: string): string {
  return Object.keys(placed.at).length === 0
    ? advice
    : 'Correct what is marked, and send it again.';
}

/** @param fields those of the form: `priority`; a parameter with `parameters/` before its name */
export function placeFaults(
  refusal: { readonly code: string; readonly fields?: readonly FieldFault[] | undefined },
  fields: readonly string[],
): PlacedFaults {
  const at: Record<string, string[]> = {};
  const rest: FieldFault[] = [];
  for (const fault of refusal.fields ?? []) {
    // Faults of parameters have paths within them; others within the body.
    const path = refusal.code === 'invalid-parameters' ? `/parameters${fault.path}` : fault.path;
    const parts = path.split('/').slice(1).map(unescaped);
    const length = parts[0] === 'parameters' ? 2 : 1;
    const field = parts.slice(0, length).join('/');
    if (!fields.includes(field)) {
      rest.push(fault);
      continue;
    }
    const within = parts.slice(length).join('/');
    at[field] = [
      ...(at[field] ?? []),
      within === '' ? fault.message : `${within} ${fault.message}`,
    ];
  }
  return { at, rest };
}

/** A part of a JSON Pointer. */
const unescaped = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~');
