/** Workflows of the product's own whose runs make several assets. No agent defines them: each task is an asset's. */

/** Workflow of runs that materialize several assets. */
export const ASSETS_WORKFLOW = 'assets';

export const SHARED_WORKFLOWS = [ASSETS_WORKFLOW, 'asset-partitions'] as const;
