/**
 * The catalog put together: what is defined (workflows, assets, pools, queues), when it is due, what is known of
 * runs elsewhere. Who runs it all is dispatch; the two meet in `CatalogDeps` and `recordAssetOutcomes`.
 */
import type { ExternalRunSink } from '../../domain/events.ts';
import type { ConnectionBudget, Levers } from '../../domain/levers.ts';
import type { Clock, EpochMs } from '../../domain/time.ts';
import type { AssetTaskEnd } from '../assets/outcome.ts';
import type { AssetService, PoolService, QueueService, Reconciler, WorkflowService } from '../service.ts';
import type { AnnounceRuns, CreateRuns } from '../runs/trigger.ts';
import type { Db, Tx } from '../store/connection.ts';

export interface CatalogDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
  /** Parameters of a scheduled run: the defaults that the workflow's schema names. */
  defaultParameters(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown>;
  log(message: string): void;
  /** Tells listeners in this process; called after the commit. */
  changed(topic: 'run' | 'asset' | 'pool' | 'workflow', id: string): void;
}

export interface Catalog {
  readonly workflows: WorkflowService;
  readonly assets: AssetService;
  readonly pools: PoolService;
  readonly queues: QueueService;
  readonly external: ExternalRunSink;
  readonly levers: Pick<Levers, 'assets'>;
  readonly reconcilers: readonly Reconciler[];
  /** Records ends of asset tasks in the transaction of their completion; events for ClickHouse included. */
  recordAssetOutcomes(tx: Tx, ends: readonly AssetTaskEnd[]): Promise<void>;
  /** The version of an asset that others read as their input; null where there is none. */
  assetValue(assetKey: string): Promise<{ value: unknown; degraded: boolean; at: string } | null>;
  /** Client pools of a server as live agents report them, for its connection budget. */
  clientPoolsOf(server: string): Promise<ConnectionBudget['pools']>;
  /** Ends timers; the connection is its owner's. */
  close(): Promise<void>;
}

export declare function createCatalog(deps: CatalogDeps): Catalog;
export type { EpochMs };
