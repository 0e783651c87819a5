/**
 * The catalog put together: what is defined (workflows, assets, pools, queues), when it is due, what is known of
 * runs elsewhere. Who runs it all is dispatch; the two meet in `CatalogDeps` and `recordAssetOutcomes`.
 */

import { SignalboxError } from '../../domain/errors.ts';
import type { ExternalRunSink } from '../../domain/events.ts';
import type { Levers } from '../../domain/levers.ts';
import type { Clock } from '../../domain/time.ts';
import { createAssetLevers } from '../assets/levers.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import { recordAssets } from '../assets/record.ts';
import { createAssets } from '../assets/service.ts';
import { OMITTED_BYTES, readTaskEnds } from '../assets/task-ends.ts';
import { createValueRetention } from '../assets/values.ts';
import { createExternalSink } from '../external/sink.ts';
import { createRunIds } from '../runs/run-id.ts';
import type { AnnounceRuns, CreateRuns } from '../runs/trigger.ts';
import { createExpectedRetention, createScheduleService } from '../schedule/expected.ts';
import { createScheduler } from '../schedule/scheduler.ts';
import type {
  AssetService,
  PoolService,
  QueueService,
  Reconciler,
  ScheduleService,
  WorkflowService,
} from '../service.ts';
import { readServedValue } from '../store/asset.ts';
import type { Db, Tx } from '../store/connection.ts';
import { createPools } from './pools.ts';
import { createQueues } from './queues.ts';
import { createWorkflows } from './workflows.ts';

export interface CatalogDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
  /** Parameters of a scheduled run: the defaults that the workflow's schema names. */
  defaultParameters(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown>;
  /** Cancels a run. @throws SignalboxError where it has ended, or is not there */
  cancelRun(runId: string, reason: string): Promise<unknown>;
  log(message: string): void;
  /** Tells listeners in this process; called after the commit. */
  changed(topic: 'run' | 'asset' | 'pool' | 'workflow', id: string): void;
}

export interface Catalog {
  readonly workflows: WorkflowService;
  readonly schedules: ScheduleService;
  readonly assets: AssetService;
  readonly pools: PoolService;
  readonly queues: QueueService;
  readonly external: ExternalRunSink;
  readonly levers: Pick<Levers, 'assets'>;
  readonly reconcilers: readonly Reconciler[];
  /**
   * Records ends of asset tasks in the transaction of their completion, events for ClickHouse included.
   * @returns keys of the assets that changed, to be told to listeners after the commit
   */
  recordAssetOutcomes(tx: Tx, ends: readonly AssetTaskEnd[]): Promise<readonly string[]>;
  /** The version of an asset that others read as their input; null where there is none. */
  assetValue(assetKey: string): Promise<{ value: unknown; degraded: boolean; at: string } | null>;
  /** Ends timers; the connection is its owner's. */
  close(): Promise<void>;
}

export function createCatalog(deps: CatalogDeps): Catalog {
  const { db, clock } = deps;
  const newId = createRunIds(clock);
  const scheduler = createScheduler(deps);
  const assets = createAssets(deps);
  return {
    workflows: createWorkflows({ ...deps, nudgeScheduler: scheduler.nudge }),
    schedules: createScheduleService(db, clock),
    assets,
    pools: createPools(deps),
    queues: createQueues(db),
    external: createExternalSink({ ...deps, newId }),
    levers: { assets: createAssetLevers({ ...deps, assets, newId }) },
    reconcilers: [
      scheduler.reconciler,
      createExpectedRetention(db, clock),
      createValueRetention(db, clock),
    ],
    recordAssetOutcomes: (tx, ends) => {
      const now = clock.now();
      return recordAssets(tx, readTaskEnds(ends, newId, now), now);
    },
    assetValue: (key) => readAssetValue(db, key),
    close: () => scheduler.close(),
  };
}

async function readAssetValue(
  db: Db,
  key: string,
): Promise<{ value: unknown; degraded: boolean; at: string } | null> {
  const row = await readServedValue(db, key);
  if (!row) return null;
  const omitted = row.metadata[OMITTED_BYTES];
  if (typeof omitted === 'number') {
    throw new SignalboxError(
      'conflict',
      `the value of ${key} has ${omitted} bytes, too many to hand on; keep it outside and return where it is`,
    );
  }
  return { value: row.value, degraded: row.degraded, at: row.at.toISOString() };
}
