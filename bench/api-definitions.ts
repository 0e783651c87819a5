/** What the benchmark of the API registers: thousands of workflows of ten tasks, and assets in layers. */
import { asset, check, daily, sensor, type TaskRef, workflow } from '../orchestrator/index.ts';

export const TASKS = ['extract', 't1', 't2', 't3', 't4', 't5', 't6', 't7', 't8', 'load'] as const;
const ASSETS_A_LAYER = 100;
const PARTITIONED_EVERY = 20;
/** A moment that never comes while it is measured. */
const SELDOM = '0 3 1 1 *';

const idle = async () => null;

function workflowName(index: number): string {
  return `flow-${String(index).padStart(5, '0')}`;
}

export function assetKey(index: number): string {
  return `bench/asset_${String(index).padStart(4, '0')}`;
}

function isPartitioned(index: number): boolean {
  return index % PARTITIONED_EVERY === 0;
}

/** Half of them scheduled; every tenth with a deadline. */
export function manyWorkflows(count: number) {
  return Array.from({ length: count }, (_, index) =>
    workflow(
      workflowName(index),
      {
        description: `Loads source number ${index}`,
        tags: ['bench', `team-${index % 20}`],
        owners: [`team-${index % 20}`],
        ...(index % 2 === 0 ? { schedule: SELDOM } : {}),
        ...(index % 10 === 0 ? { sla: '2h' } : {}),
      },
      (w) => {
        let before: TaskRef<null>[] = [];
        for (const key of TASKS) before = [w.task(key, { after: before }, idle)];
      },
    ),
  );
}

/** Each but the first layer depends on two of the layer above. */
export function manyAssets(count: number) {
  return Array.from({ length: count }, (_, index) => {
    const layer = Math.floor(index / ASSETS_A_LAYER);
    const above = (layer - 1) * ASSETS_A_LAYER;
    const upstream = [0, 1].map((step) => assetKey(above + ((index + step) % ASSETS_A_LAYER)));
    return asset(
      assetKey(index),
      {
        description: `Table number ${index}`,
        owners: [`team-${index % 20}`],
        freshness: { warnAfter: '1d', failAfter: '2d' },
        ...(isPartitioned(index) ? { partitions: daily({ start: '2024-01-01' }) } : {}),
        ...(layer === 0 ? {} : { dependsOn: upstream }),
        checks: [
          check('not-empty', { blocking: true }, () => ({ passed: true })),
          check('plausible', { severity: 'warn' }, () => ({ passed: true })),
        ],
      },
      async () => [],
    );
  });
}

export function manySensors(count: number) {
  return Array.from({ length: count }, (_, index) =>
    sensor(
      `sensor-${index}`,
      { every: '12h', triggers: workflowName(index) },
      async () => undefined,
    ),
  );
}
