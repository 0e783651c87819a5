/**
 * Validation at the edge. Bodies are taken as they are: no coercion, no field that the schema does not name,
 * all faults at once. What stands in a URL is text, so numbers and booleans there are read from text.
 */
import { Ajv, type ErrorObject } from 'ajv';
import formats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import type { FieldFault } from '../../domain/errors.ts';
import { isInCalendar, parseDuration } from '../../domain/time.ts';

/** Formats whose faults are told as `invalid-time`. */
export const TIME_FORMATS = new Set(['date-time']);

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
const LEAST_YEAR = 2_000;
const MOST_YEAR = 2_200;
const MAX_FAULTS = 50;

/** RFC 3339 with a zone, within the years that any workflow can mean. */
function isTime(text: string): boolean {
  if (!RFC3339.test(text) || !isInCalendar(text)) return false;
  const at = new Date(text.replace(' ', 'T'));
  const year = at.getUTCFullYear();
  return year >= LEAST_YEAR && year < MOST_YEAR;
}

function isDuration(text: string): boolean {
  try {
    parseDuration(text);
    return true;
  } catch {
    return false;
  }
}

function makeAjv(coerceTypes: boolean): Ajv {
  const ajv = new Ajv({
    ...{ allErrors: true, strict: false, removeAdditional: false, useDefaults: true },
    ...{ coerceTypes, verbose: false },
  });
  formats.default(ajv, ['uuid', 'uri', 'date']);
  ajv.addFormat('date-time', isTime);
  ajv.addFormat('duration', isDuration);
  return ajv;
}

/** Makes an application validate as told above. */
export function addValidation(app: FastifyInstance): void {
  const bodies = makeAjv(false);
  const urls = makeAjv(true);
  app.setValidatorCompiler(({ schema, httpPart }) => {
    if (httpPart === 'body') return bodies.compile(schema as object);
    const validate = urls.compile(schema as object);
    const numbers = numbersOf(schema);
    if (numbers.length === 0) return validate;
    return (data: Record<string, unknown>) => {
      const odd = numbers.find((name) => isOddNumber(data[name]));
      if (odd !== undefined) return { error: [notDecimal(odd)] as never };
      return validate(data) ? { value: data } : { error: (validate.errors ?? []) as never };
    };
  });
  // What handlers give is typed by the same schemas; cutting it down to them once more would hide mistakes.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

const DECIMAL = /^-?\d+(\.\d+)?$/;

/** Fields of a query or a path that are numbers. */
function numbersOf(schema: unknown): readonly string[] {
  const { properties = {} } = (schema ?? {}) as {
    readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>;
  };
  return Object.keys(properties).filter((name) => {
    const type = properties[name]?.type;
    return type === 'integer' || type === 'number';
  });
}

/** `1e2`, `0x10`, ` 5` and an empty text are numbers to JavaScript, and slips to people. */
function isOddNumber(given: unknown): boolean {
  return typeof given === 'string' && !DECIMAL.test(given);
}

function notDecimal(name: string): Partial<ErrorObject> {
  return {
    instancePath: `/${escapePointer(name)}`,
    ...{ keyword: 'type', params: {}, message: 'must be a number in digits, such as 100' },
  };
}

/** Faults with the JSON Pointer of what is wrong. */
export function faultsOf(
  errors: readonly Partial<ErrorObject>[],
  context: string | undefined,
): FieldFault[] {
  const base = context === undefined || context === 'body' ? '' : `/${context}`;
  const faults = errors
    .filter(({ keyword }) => keyword !== 'anyOf' && keyword !== 'if')
    .filter((error) => !isOtherChoice(error, errors))
    .slice(0, MAX_FAULTS)
    .map(({ instancePath = '', keyword, params = {}, message = 'is not valid' }) => {
      const field = params['additionalProperty'] ?? params['missingProperty'];
      const path = base + instancePath + (field === undefined ? '' : `/${escapePointer(field)}`);
      if (keyword === 'additionalProperties') return { path, message: 'is not a known field' };
      if (keyword === 'required') return { path, message: 'is missing' };
      if (keyword === 'enum') {
        return { path, message: `must be one of ${JSON.stringify(params['allowedValues'])}` };
      }
      if (keyword === 'format' && params['format'] === 'date-time') {
        return { path, message: 'must be RFC 3339 with a zone, between the years 2000 and 2200' };
      }
      if (keyword === 'format' && params['format'] === 'duration') {
        return { path, message: 'must be a duration such as "90s", "60m" or "PT1H"' };
      }
      return { path, message };
    });
  return faults.length > 0 ? faults : [{ path: base, message: 'is not valid' }];
}

/** Where null is one of two choices, the fault of the other one says it all. */
function isOtherChoice(error: Partial<ErrorObject>, all: readonly Partial<ErrorObject>[]): boolean {
  if (error.keyword !== 'type' || error.params?.['type'] !== 'null') return false;
  return all.some((one) => one !== error && one.instancePath === error.instancePath);
}

function escapePointer(field: unknown): string {
  return String(field).replaceAll('~', '~0').replaceAll('/', '~1');
}
