/** What the end of an asset's task means for the asset: the words that dispatch hands over. */
import type { AssetOutcome } from '../../domain/agent-protocol.ts';
import type { RunError, TaskState } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';

/** The final end of an asset's task in a run; attempts that are retried are not told. */
export interface AssetTaskEnd {
  readonly assetKey: string;
  readonly runId: string;
  readonly workflow: string;
  /** When the attempt ended. */
  readonly at: EpochMs;
  readonly state: Extract<
    TaskState,
    'succeeded' | 'failed' | 'cancelled' | 'skipped' | 'upstream-failed' | 'lost'
  >;
  /** What the asset's function returned. */
  readonly result: unknown;
  readonly outcome: AssetOutcome | null;
  readonly error: RunError | null;
  readonly dataInterval: { readonly start: EpochMs; readonly end: EpochMs } | null;
  /** Partitions that the run was to make; null or absent where it says nothing of them. */
  readonly partitions?: readonly string[] | null;
  /** Of the code that ran. */
  readonly codeVersion?: string | null;
  /** True for a task that only runs checks over what the asset has. */
  readonly looked?: boolean;
  /** True for an attempt that is tried again: only what it published counts. */
  readonly retried?: boolean;
  /** True where a person said that it has succeeded. */
  readonly marked?: boolean;
}

/** The first blocking check that did not pass, or null: such an asset has failed, whatever its function returned. */
export function failedBlockingCheck(outcome: AssetOutcome | null | undefined): string | null {
  // Who only looks refuses nothing.
  if (outcome?.mode !== undefined && outcome.mode !== 'materialize') return null;
  return outcome?.checks.find((check) => check.blocking && !check.passed)?.name ?? null;
}
