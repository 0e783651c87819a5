/** Who asked for a run, where that was no person and no schedule; `ctx.trigger` tells it to the run's code. */

import type { AutomationCause } from './automation.ts';

/** A run that ended, as a cause of another. */
export interface RunCause {
  readonly kind: 'run';
  readonly runId: string;
  readonly workflow: string;
  readonly state: string;
}

/** A new version of an asset, as a cause of a run. */
export interface AssetCause {
  readonly kind: 'asset';
  readonly asset: string;
  /** Run that made it; null where it was only observed. */
  readonly runId: string | null;
  readonly partition: string | null;
  /** Event time of the data, RFC 3339. */
  readonly at: string;
}

export type Cause = RunCause | AssetCause;

/** A condition of a workflow that is started by what happens. */
export type OnCondition =
  | {
      readonly kind: 'run';
      readonly workflow: string;
      readonly state: 'succeeded' | 'failed' | 'any';
    }
  | { readonly kind: 'asset'; readonly asset: string };

/**
 * What becomes of a workflow's events that come while it is paused. `latest`: when it is unpaused, one run for the
 * newest; the others are skipped. `all`: a run for each, up to a thousand. `skip`: none.
 */
export const WHILE_PAUSED = ['latest', 'all', 'skip'] as const;
export type WhilePaused = (typeof WHILE_PAUSED)[number];

export interface OnDefinition {
  /** `any`: each that comes true starts a run; `all`: when all have come true since the last run. */
  readonly match: 'any' | 'all';
  readonly conditions: readonly OnCondition[];
  /** `latest` unless told. */
  readonly whilePaused?: WhilePaused;
}

export type RunOrigin =
  | { readonly kind: 'backfill'; readonly backfillId: string }
  | { readonly kind: 'sensor'; readonly sensor: string; readonly key: string }
  | {
      readonly kind: 'on';
      /** What came true: one for `any`, one of each condition for `all`. */
      readonly causes: readonly Cause[];
      /** Runs before it that started each other in this way. */
      readonly depth: number;
    }
  /** The condition of assets: at most 100 of those that it was made for, with what called for each. */
  | { readonly kind: 'automation'; readonly assets: readonly AutomationCause[] };
