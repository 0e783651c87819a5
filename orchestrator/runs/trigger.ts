/**
 * Bringing runs into being, for whatever reason: by hand, by schedule, for assets, as a subflow, for a runbook.
 * Many at once cost a few statements; a key that was used before gives the first run back.
 */
import type { DataInterval, Run, RunTrigger } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { Tx } from '../store/connection.ts';

/** A run to make. Parameters are already validated, with defaults applied. */
export interface RunRequest {
  readonly workflow: string;
  /** Row of `workflow_version` whose graph it runs. */
  readonly versionId: string;
  /** Unfinished runs of the workflow that may work at once; what is beyond waits as `scheduled`. */
  readonly maxActiveRuns: number | null;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly trigger: RunTrigger;
  readonly logicalDate?: EpochMs | null;
  readonly dataInterval?: DataInterval | null;
  readonly priority?: number;
  readonly idempotencyKey?: string | null;
  readonly parentRunId?: string | null;
  readonly retryOf?: string | null;
  readonly traceparent?: string | null;
}

export interface CreatedRun {
  readonly run: Run;
  /** False where the idempotency key had been used: `run` is the first one. */
  readonly created: boolean;
}

/** Makes runs inside of a transaction. Call `announce` once it has committed. */
export type CreateRuns = (
  tx: Tx,
  requests: readonly RunRequest[],
) => Promise<readonly CreatedRun[]>;

/** Wakes agents and listeners for new runs, after the commit. */
export type AnnounceRuns = (created: readonly CreatedRun[]) => void;
