/** Workflows of the product's own whose runs make several assets. No agent defines them: each task is an asset's. */
import { plainName } from './environment.ts';

/** Workflow of runs that materialize several assets. */
export const ASSETS_WORKFLOW = 'assets';

/** That of runs that make partitions of several assets. */
export const PARTITIONS_WORKFLOW = 'asset-partitions';

/** That of runs that make checks of assets over what is stored. */
export const CHECKS_WORKFLOW = 'asset-checks';

export const SHARED_WORKFLOWS = [ASSETS_WORKFLOW, PARTITIONS_WORKFLOW] as const;

/** Whether no agent may define a workflow of this name, in whatever environment: runs of Signalbox's own have it. */
export function isOwnName(workflow: string): boolean {
  return isShared(workflow) || plainName(workflow) === CHECKS_WORKFLOW;
}

export function ownNameFault(name: string): string {
  return `the name ${name} is Signalbox's own: give the workflow another one`;
}

/** Whether a workflow is one of them, in whatever environment. */
export function isShared(workflow: string): boolean {
  const plain = plainName(workflow);
  return SHARED_WORKFLOWS.some((name) => name === plain);
}
