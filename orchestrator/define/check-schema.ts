/** Refuses a parameters schema that no validator could use; when files are read, not when a run is wanted. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Definition } from './definition.ts';
import { DefinitionError } from './options.ts';

const ajv = new Ajv2020({ strict: false, validateFormats: false, addUsedSchema: false });

/** @throws DefinitionError that names the fault */
export function checkSchema(definition: Definition): void {
  const { name, parameters } = definition.described;
  if (parameters === null) return;
  // Other dialects than the newest are for the validator to judge.
  const { $schema: _, ...schema } = parameters;
  if (ajv.validateSchema(schema) === true) return;
  throw new DefinitionError(
    `${name}: parameters is not a valid JSON Schema: ${ajv.errorsText(ajv.errors, { dataVar: 'schema' })}`,
  );
}
