/**
 * Backfills: runs of a workflow for the intervals of a range, a limited number at a time, in order. Times are
 * RFC 3339 in UTC.
 */
import type { DataInterval } from './run.ts';

export const BACKFILL_STATES = [
  'running',
  'paused',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type BackfillState = (typeof BACKFILL_STATES)[number];

/** `skipped`: a run of it was there already. */
export const BACKFILL_ITEM_STATES = [
  'pending',
  'running',
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
] as const;
export type BackfillItemState = (typeof BACKFILL_ITEM_STATES)[number];

export const BACKFILL_ORDERS = ['oldest-first', 'newest-first'] as const;
export type BackfillOrder = (typeof BACKFILL_ORDERS)[number];

/**
 * Which intervals that have runs already get another: none (`missing`), those whose last run failed or was
 * cancelled (`failed`), all of them (`all`). One with a run under way never gets a second at its side.
 */
export const BACKFILL_RERUNS = ['missing', 'failed', 'all'] as const;
export type BackfillRerun = (typeof BACKFILL_RERUNS)[number];

export interface BackfillRequest {
  /**
   * A date, a local time, or RFC 3339; dates and local times are in the timezone of the workflow's schedule. The
   * first interval is the first that starts at or after it.
   */
  readonly from: string;
  /**
   * The last interval is the last that starts before it; a date includes its whole day, so that from 2026-01-01
   * to 2026-01-31 are 31 daily intervals.
   */
  readonly to: string;
  /** `oldest-first` unless told. */
  readonly order?: BackfillOrder;
  /** Runs at a time; 4 unless told. */
  readonly concurrency?: number;
  /** `missing` unless told. */
  readonly rerun?: BackfillRerun;
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** −10 unless told: what is due by schedule goes first. */
  readonly priority?: number;
  /** Length of the intervals of a workflow without a schedule; days unless told. */
  readonly every?: string;
  /** Of dates for a workflow without a schedule; UTC unless told. */
  readonly timezone?: string;
  readonly idempotencyKey?: string;
}

/** A piece of work of a backfill, before it is started. */
export interface BackfillPlanItem {
  readonly key: string;
  readonly logicalDate: string | null;
  readonly dataInterval: DataInterval | null;
  readonly partition: string | null;
  readonly action: 'run' | 'skip';
  /** The newest run that there is of it. */
  readonly existing: { readonly runId: string; readonly state: string } | null;
}

/** What a backfill would do. */
export interface BackfillPlan {
  readonly workflow: string;
  readonly from: string;
  readonly to: string;
  readonly toRun: number;
  readonly toSkip: number;
  /** Intervals of the range that are left out, since they are not over. */
  readonly notOver: number;
  readonly items: readonly BackfillPlanItem[];
}

export interface BackfillItem {
  readonly seq: number;
  readonly key: string;
  readonly logicalDate: string | null;
  readonly dataInterval: DataInterval | null;
  readonly partition: string | null;
  readonly state: BackfillItemState;
  readonly runId: string | null;
}

export interface Backfill {
  readonly id: string;
  readonly workflow: string;
  readonly state: BackfillState;
  readonly from: string;
  readonly to: string;
  readonly order: BackfillOrder;
  readonly concurrency: number;
  readonly priority: number;
  readonly rerun: BackfillRerun;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly error: string | null;
  readonly total: number;
  readonly counts: Readonly<Record<BackfillItemState, number>>;
}
