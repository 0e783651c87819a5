/** A definition as it is registered, with hashes of its code: the graph stays the same when only a handler changes. */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { codeVersionOf } from './asset-inputs.ts';
import type { Definition } from './definition.ts';

/** @param file where it stands, as people are shown it */
export function registeredIn(
  file: string,
  { described, handlers }: Definition,
): WorkflowDefinition {
  const { kind, sensor, callbacksOf } = described;
  // An asset tells its code's version itself.
  if (sensor || callbacksOf !== undefined || kind === 'asset') return { ...described, file };
  const codeVersions = Object.fromEntries(
    [...handlers].map(([key, handler]) => [key, codeVersionOf(handler)]),
  );
  return { ...described, file, codeVersions };
}
