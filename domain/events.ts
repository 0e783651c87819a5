/**
 * What the product tells ClickHouse about itself, beside telemetry from outside. The orchestrator appends
 * run events in the same transaction as the change; the collector follows them from a watermark.
 */

/** One change of a run or of a task's attempt. Times are Unix milliseconds. */
export interface RunEvent {
  /** Unique and increasing; de-duplicates a batch that is sent twice. */
  readonly id: string;
  readonly at: number;
  readonly engine: string;
  readonly runId: string;
  readonly workflow: string;
  /** Empty for an event of the run itself. */
  readonly taskKey: string;
  readonly attempt: number;
  readonly state: string;
  readonly businessKey: string;
  readonly logicalDate: number | null;
  readonly parameters: string;
  readonly trigger: string;
  readonly parentRunId: string;
  readonly retryOf: string;
  readonly agent: string;
  readonly traceId: string;
  readonly error: string;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

/** A version, check or failure of an asset. */
export interface AssetEvent {
  readonly id: string;
  /** Event time of the data. */
  readonly at: number;
  readonly recordedAt: number;
  readonly assetKey: string;
  readonly type:
    | 'materialized'
    | 'fallback-served'
    | 'observed'
    | 'failed'
    | 'check-passed'
    | 'check-failed'
    /** Its automation has been holding it back for longer than it may; `detail` says since when and why. */
    | 'automation-held';
  readonly runId: string;
  readonly partition: string;
  readonly detail: string;
}

/** A batch behind a watermark. The same watermark gives the same batch, so that a repeat is recognized. */
export interface EventBatch {
  readonly runEvents: readonly RunEvent[];
  readonly assetEvents: readonly AssetEvent[];
  /** Opaque; hand it back to get what follows. */
  readonly watermark: string;
  /** False where more is there at once. */
  readonly caughtUp: boolean;
}

/** What the collector follows. Implemented over Postgres by the orchestrator's store. */
export interface EventSource {
  readAfter(watermark: string | null, limit: number): Promise<EventBatch>;
  /** What is stored as followed; null at the very first. */
  loadWatermark(): Promise<string | null>;
  /**
   * @param from what was loaded before; where another one has saved since, nothing is changed. Always saves unless
   * told.
   * @returns whether it was saved
   */
  saveWatermark(watermark: string, from?: string | null): Promise<boolean>;
}

/** A sample of a pool for ClickHouse. */
export interface PoolSample {
  readonly at: number;
  readonly pool: string;
  readonly kind: string;
  /** Service, agent or server that the sample is of. */
  readonly instance: string;
  readonly server: string;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
  readonly reserved: number;
  readonly timeouts: number;
  /** JSON of `PoolHolder[]` for a server, else `[]`. */
  readonly holders: string;
}

export interface HeartbeatSample {
  readonly at: number;
  readonly kind: 'agent' | 'server' | 'scheduler' | 'detector' | 'pipeline';
  readonly id: string;
  readonly name: string;
  readonly state: 'online' | 'stopped';
  readonly running: number;
  readonly intervalMs: number;
}

/** Runs, assets and lineage that came in from outside, already understood; the orchestrator's store records them. */
export interface ExternalRunEvent {
  readonly engine: string;
  /** Id of the run in its own system. */
  readonly externalId: string;
  readonly job: string;
  readonly state: 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly at: number;
  readonly logicalDate: number | null;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly parent: {
    readonly engine: string;
    readonly externalId: string;
    readonly job: string;
  } | null;
  readonly root: {
    readonly engine: string;
    readonly externalId: string;
    readonly job: string;
  } | null;
  readonly inputs: readonly string[];
  readonly outputs: readonly ExternalOutput[];
  /** Checks of assets that the run only read (a test job); nothing was materialized by them. */
  readonly inputChecks?: readonly {
    readonly assetKey: string;
    readonly checks: readonly ExternalCheck[];
  }[];
  readonly error: string | null;
  readonly owners: readonly string[];
  readonly businessKey: string;
}

export interface ExternalOutput {
  readonly assetKey: string;
  readonly rowCount: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly checks: readonly ExternalCheck[];
}

/** What a check (an assertion about data) said. */
export interface ExternalCheck {
  readonly name: string;
  readonly passed: boolean;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Where understood events go. Idempotent: the same event twice changes nothing. */
export interface ExternalRunSink {
  record(events: readonly ExternalRunEvent[]): Promise<void>;
  recordDatasets(assets: readonly { key: string; schema: unknown; at: number }[]): Promise<void>;
}
