/** Refuses a parameters schema that no validator could use; when files are read, not when a run is wanted. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { checkKeys } from './check-keys.ts';
import type { Definition } from './definition.ts';
import { DefinitionError } from './options.ts';

const ajv = new Ajv2020({
  ...{ strict: false, validateFormats: false, addUsedSchema: false },
  ...{ useDefaults: true, allErrors: true },
});

/**
 * Refuses also defaults that the schema itself refuses, and a schedule whose runs could have no valid parameters: they
 * have the defaults and nothing else.
 * @throws DefinitionError that names the fault
 */
export function checkSchema(definition: Definition): void {
  const { name, parameters, schedule } = definition.described;
  if (parameters === null) return;
  // Other dialects than the newest are for the validator to judge.
  const { $schema: _, ...schema } = parameters;
  if (ajv.validateSchema(schema) !== true) {
    throw new DefinitionError(
      `${name}: parameters is not a valid JSON Schema: ${ajv.errorsText(ajv.errors, { dataVar: 'schema' })}`,
    );
  }
  checkKeys(definition.described);
  for (const fault of faultsOfDefaults(schema)) {
    if (fault.instancePath !== '') {
      throw new DefinitionError(
        `${name}: parameters: the default of ${fault.instancePath} ${fault.message}`,
      );
    }
    // Of choices such as anyOf, which of them a run takes is not known here.
    if (schedule !== null && fault.schemaPath === '#/required') {
      const path = `/${fault.params['missingProperty']}`;
      throw new DefinitionError(
        `${name}: parameters: ${path} has no default, and runs of the schedule are given no parameters: give it one, or leave it out of what is required`,
      );
    }
  }
}

/** What the schema finds wrong with its own defaults. Schemas that cannot be compiled alone are for the server to judge. */
function faultsOfDefaults(schema: object): readonly ErrorObject[] {
  try {
    const validate = ajv.compile(schema);
    return validate({}) ? [] : (validate.errors ?? []);
  } catch {
    return [];
  }
}
