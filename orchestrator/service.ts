/**
 * The orchestrator as the rest of the product uses it. Everything behind it is stateless beside Postgres, so
 * any number of servers may hold one each.
 */
import type { Agent } from '../domain/agent.ts';
import type {
  AssetInputReply,
  AssetInputRequest,
  AssetValue,
  ClaimReply,
  ClaimRequest,
  CompleteReply,
  CompleteRequest,
  DiedRequest,
  DynamicPartitionsRequest,
  HeartbeatReply,
  HeartbeatRequest,
  OnceReply,
  OnceRequest,
  RecordedVersion,
  RegisterReply,
  RegisterRequest,
  StepRecord,
} from '../domain/agent-protocol.ts';
import type { Asset, Materialization } from '../domain/asset.ts';
import type { EventSource, ExternalRunSink } from '../domain/events.ts';
import type { DetectorAsset } from '../domain/finding.ts';
import type { ConnectionBudget, Levers } from '../domain/levers.ts';
import type {
  AssetImpact,
  AssetPartition,
  MaterializePlan,
  MaterializeReply,
  PartitionCounts,
  PartitionSelection,
  PartitionState,
  StaleCause,
} from '../domain/partition.ts';
import type { Pool } from '../domain/pool.ts';
import type { Run, Task } from '../domain/run.ts';
import type {
  Attempt,
  CancelRequest,
  ClearRequest,
  Effect,
  MarkRequest,
  RerunRequest,
  RetryRequest,
  RunActionRecord,
  RunSelection,
} from '../domain/run-control.ts';
import type { ExpectedRun, SchedulePreview } from '../domain/schedule.ts';
import type { LookEnd, LookEndReply, LooksReply, LooksRequest } from '../domain/sensor.ts';
import type {
  EmitRequest,
  EventReceipt,
  SuspendReply,
  SuspendRequest,
  WaitReply,
  WaitRequest,
} from '../domain/wait.ts';
import type { BackfillService, SensorService, SignalService } from './asked-service.ts';
import type { AssetQualityService } from './assets/quality-service.ts';
import type { AutomationService } from './automation/service.ts';
import type { CallbackService } from './callbacks/service.ts';
import type { WorkflowService } from './catalog/workflow-service.ts';
import type { DeadlineService } from './deadlines/service.ts';
import type { EnvironmentService } from './environments/contract.ts';
import type { ResultCalls, ResultService } from './results/contract.ts';
import type { RetentionService } from './retention/service.ts';

export type { BackfillService, SensorService, SignalService } from './asked-service.ts';
export type {
  WorkflowDetail,
  WorkflowService,
  WorkflowSummary,
} from './catalog/workflow-service.ts';

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface PageQuery {
  readonly limit?: number;
  readonly cursor?: string;
  /** Only what is of this environment, `*` for all; production's unless told. */
  readonly environment?: string;
}

export interface TriggerRequest {
  readonly parameters?: Record<string, unknown>;
  readonly idempotencyKey?: string;
  readonly logicalDate?: string;
  readonly priority?: number;
  readonly traceparent?: string;
}

export interface TriggerReply {
  readonly run: Run;
  /** False where the idempotency key had been used: `run` is the first one. */
  readonly created: boolean;
}

export interface Actor {
  /** `token:NAME`, or `signalbox` for what the product does by itself. */
  readonly name: string;
}

export interface ScheduleService {
  /** A workflow's schedule and the next `count` runs that it calls for (1,000 at most). */
  preview(workflow: string, count: number): Promise<SchedulePreview>;
  /** What became of runs that were due, newest logical date first. */
  expectedRuns(
    query: PageQuery & { workflow?: string; outcome?: string },
  ): Promise<Page<ExpectedRun>>;
  /** Runs that were due longer than `graceMs` ago, of which nothing has become: no scheduler looks. At most 1,000. */
  overdue(
    graceMs: number,
    environment?: string,
  ): Promise<readonly { workflow: string; logicalDate: string; dueAt: string }[]>;
}

export interface RunService {
  trigger(workflow: string, request: TriggerRequest, actor: Actor): Promise<TriggerReply>;
  /** All or nothing, at most 10,000. */
  triggerBatch(
    workflow: string,
    requests: readonly TriggerRequest[],
    actor: Actor,
  ): Promise<readonly TriggerReply[]>;
  list(
    query: PageQuery & { workflow?: string; state?: string; engine?: string },
  ): Promise<Page<Run>>;
  get(id: string): Promise<Run>;
  tasks(id: string): Promise<readonly Task[]>;
  cancel(id: string, reason: string, actor: Actor): Promise<Run>;
  /** Runs again what failed or was cancelled; what succeeded keeps its result. */
  retry(id: string, actor: Actor): Promise<Run>;
}

/**
 * What people do to runs by hand. Everything says what it changes; with `dryRun` it changes nothing and says the same.
 * All of it is idempotent: what is so already is not changed again.
 */
export interface RunControlService {
  /** Runs chosen tasks again, also of a run that has ended. */
  clear(id: string, request: ClearRequest, actor: Actor): Promise<Effect>;
  /** The same for many runs, at most 1,000 a call; `nextCursor` goes on. */
  clearMany(selection: RunSelection, request: ClearRequest, actor: Actor): Promise<Effect>;
  /** Gives tasks or the whole run an end; what comes after goes on as if it had ended so. */
  mark(id: string, request: MarkRequest, actor: Actor): Promise<Effect>;
  /** Cancels a run with the runs that it started, or single tasks of it. */
  cancel(id: string, request: CancelRequest, actor: Actor): Promise<Effect>;
  cancelMany(selection: RunSelection, request: CancelRequest, actor: Actor): Promise<Effect>;
  /** Runs an ended run again, from where it failed, from a task or a recorded step, or from its beginning. */
  retry(id: string, request: RetryRequest, actor: Actor): Promise<Effect>;
  /** A new run with the parameters and the date of one that has ended; `retryOf` names that. */
  rerun(id: string, request: RerunRequest, actor: Actor): Promise<TriggerReply>;
  /** Nothing new of the run starts until it is resumed; what runs goes on. */
  pause(id: string, request: { readonly dryRun?: boolean }, actor: Actor): Promise<Effect>;
  resume(id: string, request: { readonly dryRun?: boolean }, actor: Actor): Promise<Effect>;
  /** Attempts of a task, oldest first. */
  attempts(id: string, taskKey: string): Promise<readonly Attempt[]>;
  /** What people did to the run, newest first. */
  actions(id: string): Promise<readonly RunActionRecord[]>;
}

export interface AssetPolicyInput {
  readonly warnAfter?: string | null;
  readonly failAfter?: string | null;
  readonly deadlineCron?: string | null;
  readonly critical?: boolean;
  readonly fallback?: 'last-good' | null;
}

export interface LineageGraph {
  readonly nodes: readonly {
    key: string;
    depth: number;
    freshness: Asset['freshness'];
    /** Of a branch: runs of it read the asset from production. */
    readFrom?: 'production';
  }[];
  readonly edges: readonly { from: string; to: string }[];
  /** Tasks of workflows that make or read one of the nodes. */
  readonly tasks?: readonly {
    workflow: string;
    task: string;
    asset: string;
    role: 'produces' | 'consumes';
  }[];
}

/** What to make of assets, beside the assets. */
export interface MaterializeOptions {
  readonly idempotencyKey?: string;
  /** All that lies downstream as well, and upstream. */
  readonly downstream?: boolean;
  readonly upstream?: boolean;
}

export interface PartitionQuery extends PageQuery {
  readonly state?: PartitionState;
  /** Keys from and to which, in the order of the partitions. */
  readonly from?: string;
  readonly to?: string;
  /** The newest first, unless told. */
  readonly order?: 'newest' | 'oldest';
}

export interface AssetService {
  list(query: PageQuery): Promise<Page<Asset>>;
  get(key: string): Promise<Asset>;
  materializations(
    key: string,
    query: PageQuery & { partition?: string },
  ): Promise<Page<Materialization>>;
  /** Works before the asset was ever seen. */
  setPolicy(key: string, policy: AssetPolicyInput, actor: Actor): Promise<Asset>;
  materialize(keys: readonly string[], request: MaterializeOptions, actor: Actor): Promise<Run>;
  /** Makes partitions: a run for each, so many at a time, or one for all where the code handles a range. */
  materializePartitions(
    key: string,
    request: MaterializeOptions & { partitions: PartitionSelection; single?: boolean },
    actor: Actor,
  ): Promise<MaterializeReply>;
  /** What either of them would make; of partitions where some are named. Nothing is made. */
  plan(
    key: string,
    request: Omit<MaterializeOptions, 'idempotencyKey'> & {
      partitions?: PartitionSelection;
      single?: boolean;
    },
  ): Promise<MaterializePlan>;
  partitions(key: string, query: PartitionQuery): Promise<Page<AssetPartition>>;
  partitionCounts(key: string): Promise<PartitionCounts>;
  /** What lies below and suffers, of all of the asset or of one partition. */
  impact(key: string, partition: string | null): Promise<AssetImpact>;
  /** Why assets should be made anew; those that need not are missing. */
  staleCauses(): Promise<ReadonlyMap<string, readonly StaleCause[]>>;
  dynamicPartitions(name: string): Promise<readonly string[]>;
  /** @returns the keys that there are now */
  changeDynamicPartitions(
    name: string,
    change: { add?: readonly string[]; remove?: readonly string[] },
    actor: Actor,
  ): Promise<readonly string[]>;
  /** `depth` levels up and down. */
  lineage(key: string, depth: number): Promise<LineageGraph>;
  /** All assets with a policy or edges, as detectors need them. */
  forDetectors(): Promise<readonly DetectorAsset[]>;
}

export interface PoolService {
  list(): Promise<readonly Pool[]>;
  get(name: string): Promise<Pool>;
  /** Creates a task-slot pool, or sets a pool's ceiling; agents apply it to the pools in their processes. */
  set(name: string, value: { max: number }, actor: Actor): Promise<Pool>;
  /** Ceilings that servers set for pools living in agents. */
  ceilings(): Promise<Readonly<Record<string, number>>>;
  /** Client pools that live agents have on a server, for its connection budget; `max` is of one agent's pool. */
  clientPoolsOf(server: string): Promise<ConnectionBudget['pools']>;
}

export interface QueueSummary {
  readonly name: string;
  readonly paused: boolean;
  readonly concurrency: number | null;
  readonly ready: number;
  readonly running: number;
  /** Tasks that wait at a limit of theirs, or for an agent with the labels that they ask for. */
  readonly waiting?: number;
  /** Since when the longest of the ready and waiting tasks waits. */
  readonly waitingSince?: string | null;
  /** Agents that serve several queues take from the higher one first. */
  readonly priority?: number;
  /** So many tasks may start in a time: that many at once, then evenly. `per` is a duration. */
  readonly rateLimit?: { readonly count: number; readonly per: string } | null;
}

/** What is not given stays. */
export interface QueueSetting {
  readonly paused?: boolean;
  readonly concurrency?: number | null;
  readonly priority?: number;
  readonly rateLimit?: { readonly count: number; readonly per: string } | null;
}

export interface QueueService {
  list(): Promise<readonly QueueSummary[]>;
  /** The queue `*` stands for all of them together. */
  set(name: string, value: QueueSetting, actor: Actor): Promise<QueueSummary>;
}

/** The agents' side. Every call fails with `lease-lost` where the session is no longer valid. */
export interface AgentService extends ResultCalls {
  list(): Promise<readonly Agent[]>;
  register(request: RegisterRequest): Promise<RegisterReply>;
  claim(sessionId: string, request: ClaimRequest, signal: AbortSignal): Promise<ClaimReply>;
  complete(sessionId: string, request: CompleteRequest): Promise<CompleteReply>;
  recordSteps(
    sessionId: string,
    steps: readonly StepRecord[],
  ): Promise<
    readonly {
      runId: string;
      key: string;
      outcome: 'recorded' | 'already-recorded' | 'lease-lost';
    }[]
  >;
  heartbeat(sessionId: string, report: HeartbeatRequest): Promise<HeartbeatReply>;
  once(sessionId: string, request: OnceRequest): Promise<OnceReply>;
  result(
    sessionId: string,
    runId: string,
    taskKey: string,
  ): Promise<{ state: string; result: unknown }>;
  steps(
    sessionId: string,
    runId: string,
  ): Promise<readonly { key: string; state: string; result: unknown; error: unknown }[]>;
  startSubflow(
    sessionId: string,
    request: {
      runId: string;
      token: string;
      key: string;
      workflow: string;
      parameters: Record<string, unknown>;
    },
  ): Promise<Run>;
  waitRun(
    sessionId: string,
    runId: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<{ run: Run; result: unknown }>;
  /** Looks of sensors that are due, or none when `waitMs` is over. */
  claimLooks(sessionId: string, request: LooksRequest, signal: AbortSignal): Promise<LooksReply>;
  endLook(sessionId: string, end: LookEnd): Promise<LookEndReply>;
  /** Resolves when what the flow waits for is there, or when `waitMs` is over. */
  wait(sessionId: string, request: WaitRequest, signal: AbortSignal): Promise<WaitReply>;
  /** Gives a flow back until its time or its answer comes. */
  suspend(sessionId: string, request: SuspendRequest): Promise<SuspendReply>;
  emit(sessionId: string, request: EmitRequest): Promise<EventReceipt>;
  /** The newest value of an asset that others read as their input; `degraded` where a fallback serves it. */
  assetValue(sessionId: string, assetKey: string): Promise<AssetValue | null>;
  /** What a task of a run is given of an upstream: the versions of the partitions that it is made from. */
  assetInput(sessionId: string, of: AssetInputRequest): Promise<AssetInputReply>;
  changePartitions(sessionId: string, request: DynamicPartitionsRequest): Promise<void>;
  assetHistory(sessionId: string, assetKey: string): Promise<readonly RecordedVersion[]>;
  stop(sessionId: string): Promise<void>;
  /** The agent's process is gone: what it held is lost, and ready again at once. */
  died(sessionId: string, request: DiedRequest): Promise<void>;
}

/** A background step: idempotent, without input, claimed by one server at a time, run periodically and on a nudge. */
export interface Reconciler {
  readonly name: string;
  readonly everyMs: number;
  run(): Promise<void>;
}

export interface Orchestrator {
  readonly workflows: WorkflowService;
  readonly schedules: ScheduleService;
  readonly runs: RunService;
  readonly runControl: RunControlService;
  readonly backfills: BackfillService;
  readonly signals: SignalService;
  readonly sensors: SensorService;
  readonly deadlines: DeadlineService;
  readonly callbacks: CallbackService;
  readonly assets: AssetService;
  readonly quality: AssetQualityService;
  readonly pools: PoolService;
  readonly results: ResultService;
  readonly queues: QueueService;
  readonly agents: AgentService;
  readonly events: EventSource;
  readonly environments: EnvironmentService;
  /** Assets that are made when their condition says so. */
  readonly automation: AutomationService;
  /** What is kept for how long. */
  readonly retention: RetentionService;
  readonly external: ExternalRunSink;
  /** The orchestrator's part of the runbooks' levers (runs, assets, agents). */
  readonly levers: Pick<Levers, 'runs' | 'assets' | 'agents'>;
  /** Scheduler, lease reaper, retention …; the server runs them under leases of its own. */
  readonly reconcilers: readonly Reconciler[];
  /** Wakes what follows changes (server-sent events, follower): a topic and an id. */
  onChange(
    listener: (change: {
      topic: 'run' | 'asset' | 'agent' | 'pool' | 'workflow';
      id: string;
    }) => void,
  ): () => void;
  close(): Promise<void>;
}
