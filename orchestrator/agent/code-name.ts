import type { Assignment } from '../../domain/agent-protocol.ts';

/** Name of the definition whose code an assignment runs. A run that makes several assets has a workflow of its own, which no file defines. */
export function codeNameOf({ kind, workflow, taskKey }: Assignment): string {
  return kind === 'asset' || kind === 'check' ? taskKey : workflow;
}
