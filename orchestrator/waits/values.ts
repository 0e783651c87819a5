/** What people give as an input, against the JSON Schema that the flow asks for. */
import { SignalboxError } from '../../domain/errors.ts';
import { compileSchema } from '../runs/parameters.ts';
import { refusedBySchema } from '../runs/schema-faults.ts';

type Schema = Readonly<Record<string, unknown>>;

const MAX_SCHEMA_CHARACTERS = 100_000;

/** @throws SignalboxError `invalid-request` for a schema that no value could be checked against */
export function checkSchemaOf(schema: Schema | null): void {
  if (schema === null) return;
  if (JSON.stringify(schema).length > MAX_SCHEMA_CHARACTERS) {
    throw new SignalboxError('invalid-request', 'the schema of an input is too large');
  }
  try {
    compileSchema(schema);
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
  const validate = compileSchema(schema);
  const checked: unknown = structuredClone(value);
  if (validate(checked)) return checked;
  throw refusedBySchema(validate.errors, 'the value');
}
