/** Workflows of the product's own whose runs make several assets. No agent defines them: each task is an asset's. */
import { plainName } from './environment.ts';

/** Workflow of runs that materialize several assets. */
export const ASSETS_WORKFLOW = 'assets';

/** That of runs that make partitions of several assets. */
export const PARTITIONS_WORKFLOW = 'asset-partitions';

export const SHARED_WORKFLOWS = [ASSETS_WORKFLOW, PARTITIONS_WORKFLOW] as const;

/** Whether a workflow is one of them, in whatever environment. */
export function isShared(workflow: string): boolean {
  const plain = plainName(workflow);
  return SHARED_WORKFLOWS.some((name) => name === plain);
}
