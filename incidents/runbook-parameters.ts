/** Parameters that a person gives to a runbook, checked by its schema. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { SignalboxError } from '../domain/errors.ts';
import type { Runbook } from '../domain/runbook.ts';

const ajv = new Ajv2020({ allErrors: true, strict: false });

/** @throws SignalboxError `invalid-parameters` that names each path at fault */
export function checkParameters(
  { id, parameters: schema }: Runbook,
  given: Readonly<Record<string, unknown>>,
): void {
  const validate = ajv.compile(schema);
  if (validate(given)) return;
  const errors = (validate.errors ?? []).map((fault) => ({
    path: `/parameters${fault.instancePath}`,
    message: `${fault.message ?? 'is not valid'}${fault.keyword === 'additionalProperties' ? `: ${String(fault.params['additionalProperty'])}` : ''}`,
  }));
  throw new SignalboxError('invalid-parameters', `runbook ${id}`, errors);
}
