/** Workflows of the product's own whose runs make several assets. No agent defines them: each task is an asset's. */
import { environmentOf, plainName, qualify } from '../../domain/environment.ts';

/** Workflow of runs that materialize several assets. */
export const ASSETS_WORKFLOW = 'assets';

/** That of runs that make partitions of several assets. */
export const PARTITIONS_WORKFLOW = 'asset-partitions';

const SHARED_WORKFLOWS = [ASSETS_WORKFLOW, PARTITIONS_WORKFLOW] as const;

/** Whether a workflow is one of them, in whatever environment. */
export function isShared(workflow: string): boolean {
  const plain = plainName(workflow);
  return SHARED_WORKFLOWS.some((name) => name === plain);
}

/** The same as a condition on a column: of production, and of each environment. */
export function isSharedSql(column: string): string {
  const each = SHARED_WORKFLOWS.map(
    (name) => `${column} = '${name}' OR ${column} LIKE '~%~${name}'`,
  );
  return `(${each.join(' OR ')})`;
}

/** Those of the environments that assets are of. */
export function sharedWorkflowsOf(keys: Iterable<string>): readonly string[] {
  const environments = new Set(Array.from(keys, environmentOf));
  return [...environments].flatMap((of) => SHARED_WORKFLOWS.map((name) => qualify(of, name)));
}
