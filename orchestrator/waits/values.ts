/** What people give as an input, against the JSON Schema that the flow asks for. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { SignalboxError } from '../../domain/errors.ts';
import { schemaFaults } from '../runs/schema-faults.ts';

type Schema = Readonly<Record<string, unknown>>;

const MAX_SCHEMA_CHARACTERS = 100_000;

function compile(schema: Schema) {
  const { $schema: _dialect, ...plain } = schema;
  const ajv = new Ajv2020({ strict: false, useDefaults: true, allErrors: true });
  addFormats.default(ajv);
  return ajv.compile(plain);
}

/** @throws SignalboxError `invalid-request` for a schema that no value could be checked against */
export function checkSchemaOf(schema: Schema | null): void {
  if (schema === null) return;
  if (JSON.stringify(schema).length > MAX_SCHEMA_CHARACTERS) {
    throw new SignalboxError('invalid-request', 'the schema of an input is too large');
  }
  try {
    compile(schema);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new SignalboxError('invalid-request', `the schema of an input is not valid: ${detail}`);
  }
}

/**
 * @returns the value with defaults applied
 * @throws SignalboxError `invalid-parameters` with the path of each fault
 */
export function checkValue(schema: Schema | null, value: unknown): unknown {
  if (schema === null) return value;
  const validate = compile(schema);
  const checked: unknown = structuredClone(value);
  if (validate(checked)) return checked;
  const faults = schemaFaults(validate.errors ?? []);
  const [first] = faults;
  const detail = first && `${first.path === '' ? 'the value' : first.path} ${first.message}`;
  throw new SignalboxError('invalid-parameters', detail, faults);
}
