/** What incidents are given by whoever puts the product together. */
import type pg from 'pg';
import type { DetectorAsset, DetectorQuery, QueryRows } from '../domain/finding.ts';
import type { Levers } from '../domain/levers.ts';
import type { Runbook } from '../domain/runbook.ts';
import type { Clock } from '../domain/time.ts';

export interface IncidentsOptions {
  readonly db: pg.Pool;
  /** Read-only SELECT on ClickHouse. */
  query(query: DetectorQuery): Promise<QueryRows>;
  /** Lineage and policies as they stand now. */
  context(): Promise<readonly DetectorAsset[]>;
  readonly levers: Levers;
  readonly runbooks: readonly Runbook[];
  /**
   * Starts the durable flow whose body is `runExecution(executionId, …)`; the same key starts it once.
   */
  startRun(executionId: string, idempotencyKey: string): Promise<{ runId: string }>;
  /** Copies a timeline event to ClickHouse; a failure is logged and holds nothing up. */
  recordEvent(event: Readonly<Record<string, unknown>>): Promise<void>;
  readonly clock: Clock;
  log(message: string): void;
  /** Length of an agent's lease; the detector of lost agents goes by it. 30 s unless told. */
  readonly leaseMs?: number;
  /** Time between two rounds of detection; 1 s unless told. */
  readonly everyMs?: number;
}

/** Durable steps of the flow that carries an execution. */
export interface ExecutionSteps {
  /** Runs `work` once under the key and records its result. */
  step<T>(key: string, work: () => Promise<T>): Promise<T>;
  readonly signal: AbortSignal;
}
