/**
 * The catalog put together: what is defined (workflows, assets, pools, queues), when it is due, what is known of
 * runs elsewhere. Who runs it all is dispatch; the two meet in `CatalogDeps` and `recordAssetOutcomes`.
 */

import type {
  AssetInputReply,
  AssetValue,
  DynamicPartitionsRequest,
  RecordedVersion,
} from '../../domain/agent-protocol.ts';
import type { ExternalRunSink } from '../../domain/events.ts';
import type { Levers } from '../../domain/levers.ts';
import type { Clock } from '../../domain/time.ts';
import { readAssetHistory } from '../assets/history.ts';
import { createInputValues, refuseOmitted } from '../assets/input-values.ts';
import { createAssetLevers } from '../assets/levers.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import { changeDynamic } from '../assets/partitions/dynamic.ts';
import { createPartitionedRuns } from '../assets/partitions/scheduled.ts';
import { createAssetQuality } from '../assets/quality.ts';
import type { AssetQualityService } from '../assets/quality-service.ts';
import { recordAssets } from '../assets/record.ts';
import { createAssets } from '../assets/service.ts';
import { readTaskEnds } from '../assets/task-ends.ts';
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
  readonly quality: AssetQualityService;
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
  assetValue(assetKey: string): Promise<AssetValue | null>;
  /** What the last versions of an asset recorded, the newest first. */
  assetHistory(assetKey: string): Promise<readonly RecordedVersion[]>;
  /** What a task that makes `downstream` is given of `upstream`, for the partitions that it makes. */
  assetInput(
    upstream: string,
    downstream: string,
    keys: readonly string[] | null,
    /** The upstream as the definition names it, where that is another name. */
    edge?: string,
  ): Promise<AssetInputReply>;
  changePartitions(request: DynamicPartitionsRequest, by: string): Promise<void>;
  /** Ends timers; the connection is its owner's. */
  close(): Promise<void>;
}

export function createCatalog(deps: CatalogDeps): Catalog {
  const { db, clock } = deps;
  const newId = createRunIds(clock);
  const scheduler = createScheduler({
    ...deps,
    createRuns: createPartitionedRuns(deps.createRuns),
  });
  const assets = createAssets(deps);
  return {
    workflows: createWorkflows({ ...deps, nudgeScheduler: scheduler.nudge }),
    schedules: createScheduleService(db, clock),
    assets,
    quality: createAssetQuality({ ...deps, newId }),
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
      return recordAssets(tx, readTaskEnds(ends, newId, now), newId, now);
    },
    assetValue: (key) => readAssetValue(db, key),
    assetInput: createInputValues(deps),
    async changePartitions({ name, ...change }, by) {
      await changeDynamic(deps, name, change, by);
    },
    assetHistory: (key) => readAssetHistory(db, key),
    close: () => scheduler.close(),
  };
}

async function readAssetValue(db: Db, key: string): Promise<AssetValue | null> {
  const row = await readServedValue(db, key);
  if (!row) return null;
  refuseOmitted(key, row.metadata);
  const { id, value, degraded, stored, partition } = row;
  return { id, value, degraded, at: row.at.toISOString(), stored, partition };
}
