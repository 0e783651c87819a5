/**
 * Faults of a value against its JSON Schema, as people read them: with the path, and with what is allowed where that is
 * a list. A union of literals (`Type.Union`, `z.union`) is such a list as well: a fault for each of them says nothing.
 */
import type { ErrorObject } from 'ajv';
import { type FieldFault, SignalboxError } from '../../domain/errors.ts';

const MAX_FAULTS = 20;

/**
 * What is told of a value that its schema refuses, first fault first.
 * @param errors of a validator that looked for all of them
 * @param whole what the value is called where it is wrong as a whole
 */
export function refusedBySchema(
  errors: readonly ErrorObject[] | null | undefined,
  whole: string,
): SignalboxError {
  const faults = schemaFaults(errors ?? []);
  const [first] = faults;
  const detail = first && `${first.path === '' ? whole : first.path} ${first.message}`;
  return new SignalboxError('invalid-parameters', detail, faults);
}

function schemaFaults(errors: readonly ErrorObject[]): FieldFault[] {
  const choices = new Map<string, unknown[]>();
  for (const { keyword, instancePath, params } of errors) {
    if (keyword !== 'const') continue;
    choices.set(instancePath, [...(choices.get(instancePath) ?? []), params['allowedValue']]);
  }
  const faults = errors
    .filter(
      ({ keyword, instancePath }) =>
        keyword !== 'const' &&
        !((keyword === 'anyOf' || keyword === 'oneOf') && choices.has(instancePath)),
    )
    .map(toFault);
  const unions = [...choices].map(([path, allowed]) => ({ path, message: mustBe(allowed) }));
  return [...unions, ...faults].slice(0, MAX_FAULTS);
}

function toFault({ keyword, instancePath, params, message }: ErrorObject): FieldFault {
  const property: unknown = params['missingProperty'] ?? params['additionalProperty'];
  const path =
    typeof property === 'string'
      ? `${instancePath}/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
      : instancePath;
  if (keyword === 'required') return { path, message: 'is missing' };
  if (keyword === 'additionalProperties') return { path, message: 'is not known' };
  if (keyword === 'enum') return { path, message: mustBe(params['allowedValues']) };
  return { path, message: message ?? 'is not valid' };
}

function mustBe(allowed: readonly unknown[]): string {
  const values = [...new Set(allowed.map((value) => JSON.stringify(value)))];
  return `must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}`;
}
