/**
 * Parameters of a run against the JSON Schema that its workflow declares: defaults applied, every fault with its
 * path. Schemas are compiled once; the same text is the same schema.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { SignalboxError } from '../../domain/errors.ts';
import { createRecent } from './recent.ts';
import { refusedBySchema } from './schema-faults.ts';

type Schema = Readonly<Record<string, unknown>>;

export interface Parameters {
  /** @throws SignalboxError `invalid-parameters` with the path of each fault */
  check(schema: Schema | null, input: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** The defaults that a schema names, whether or not they are all that it requires. */
  defaults(schema: Schema | null): Record<string, unknown>;
}

/** Characters of compiled schemas that are kept. */
const MAX_CACHED = 10_000_000;

/** A validator that applies defaults and looks for all faults. @throws where the schema is not valid */
export function compileSchema(schema: Schema): ValidateFunction {
  const { $schema: _dialect, ...plain } = schema;
  const ajv = new Ajv2020({ strict: false, useDefaults: true, allErrors: true });
  addFormats.default(ajv);
  return ajv.compile(plain);
}

export function createParameters(): Parameters {
  const cache = createRecent<string, ValidateFunction>(MAX_CACHED, () => 1_000);
  function compile(schema: Schema): ValidateFunction {
    const text = JSON.stringify(schema);
    const known = cache.get(text);
    if (known) return known;
    try {
      const made = compileSchema(schema);
      cache.set(text, made);
      return made;
    } catch (error) {
      throw new SignalboxError(
        'invalid-parameters',
        `the workflow’s schema is not valid: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  return {
    check(schema, input) {
      const value = structuredClone(input) as Record<string, unknown>;
      if (schema === null) return value;
      const validate = compile(schema);
      if (validate(value)) return value;
      throw refusedBySchema(validate.errors, 'parameters');
    },
    defaults(schema) {
      const value: Record<string, unknown> = {};
      if (schema !== null) compile(schema)(value);
      return value;
    },
  };
}
