/**
 * Schedules as they are registered, and what is known of each run that they call for. `cron` is always a text for
 * people; where a schedule is more than one cron expression, `schedules` says exactly what it is.
 */

/**
 * What becomes of a local time that clocks jump over, or that comes twice. It concerns cron expressions that name
 * hours of the day; one that holds every hour keeps running each real hour.
 *
 * - `missing`: `shift` runs it later by as much as the clocks jumped (02:30 at 03:30); `skip` does not run it.
 * - `duplicate`: `first` or `last` runs it the first or the second time only, `both` each time; `none` does not
 *   run a time that comes twice at all.
 */
export interface DstPolicies {
  readonly missing: 'shift' | 'skip';
  readonly duplicate: 'first' | 'last' | 'both' | 'none';
}

export const DEFAULT_DST: DstPolicies = { missing: 'shift', duplicate: 'first' };

/** One of the schedules of a workflow. */
export type ScheduleEntry = CronEntry | EveryEntry;

export interface CronEntry {
  readonly cron: string;
  readonly timezone: string;
  readonly dst?: DstPolicies;
}

/** Each `everyMs` of elapsed time since `anchor` (RFC 3339), whatever clocks do. */
export interface EveryEntry {
  readonly everyMs: number;
  readonly anchor: string;
}

/**
 * What happens to a scheduled run that is due while earlier scheduled runs of its workflow have not ended.
 *
 * - `queue`: it waits for room (`maxActiveRuns`, 1 unless told); with `atMost`, one that finds so many waiting is skipped.
 * - `skip`: it is skipped, unless fewer than `maxActiveRuns` (1 unless told) are under way.
 * - `cancel-running`: the earlier ones are cancelled, and it begins once they have ended.
 * - `allow`: it begins beside them, as far as `maxActiveRuns` lets it.
 */
export interface Overlap {
  readonly policy: 'queue' | 'skip' | 'cancel-running' | 'allow';
  readonly atMost?: number;
}

export interface WorkflowSchedule {
  /** The cron expression; of an interval or of several schedules, a text that says what they are. */
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
  /** Whether intervals that passed are made up for. */
  readonly catchup: boolean;
  /** One run after the other (`@continuous`): the next one is due when the one before has ended. */
  readonly continuous?: boolean;
  /** Absent where it is the one cron expression. */
  readonly schedules?: readonly ScheduleEntry[];
  readonly dst?: DstPolicies;
  /** First and last logical date, RFC 3339, both included. */
  readonly startDate?: string;
  readonly endDate?: string;
  /** Of the intervals that passed only so many of the newest are made up for. */
  readonly catchupAtMost?: number;
  /** Only intervals that ended so long ago at most are made up for. */
  readonly catchupWithinMs?: number;
  /** A run starts so much later at most; by how much depends on the workflow and the instant alone. */
  readonly jitterMs?: number;
  readonly overlap?: Overlap;
  /** A run waits until the run of the logical date before has succeeded. */
  readonly dependsOnPast?: boolean;
}

/** What became of a run that a schedule called for. */
export const EXPECTED_OUTCOMES = ['run', 'skipped', 'dropped', 'missed'] as const;
/**
 * - `run`: it was made.
 * - `skipped`: its schedule's own policy was against it when it was due (`overlap`, `queue-full`, `paused`).
 * - `dropped`: it was to be made up for, but is beyond the limit of catchup (`catchup-limit`).
 * - `missed`: nobody was there when it was due, and nothing makes up for it (`scheduler-down`).
 */
export type ExpectedOutcome = (typeof EXPECTED_OUTCOMES)[number];

export type ExpectedReason =
  | 'overlap'
  | 'queue-full'
  | 'paused'
  | 'catchup-limit'
  | 'scheduler-down'
  | 'cancelled-by-overlap';

/** A run that a schedule called for, as lists show it. */
export interface ExpectedRun {
  readonly workflow: string;
  readonly logicalDate: string;
  readonly dataInterval: { readonly start: string; readonly end: string };
  readonly dueAt: string;
  readonly outcome: ExpectedOutcome;
  readonly runId: string | null;
  readonly reason: ExpectedReason | null;
  /** Where very many passed, one row stands for those since this logical date that are not listed. */
  readonly sinceLogicalDate: string | null;
  readonly noticedAt: string;
  /**
   * Of a workflow that is started by what happens: so many events were skipped in a pause that began at `logicalDate`;
   * one row stands for them.
   */
  readonly events?: number;
  /** A run that a backfill made of the date has succeeded since. */
  readonly madeGood?: { readonly at: string; readonly runId: string | null };
}

/** One of the next runs of a schedule. */
export interface UpcomingRun {
  readonly logicalDate: string;
  readonly dataInterval: { readonly start: string; readonly end: string };
  /** When it starts: the end of its interval, and the jitter. */
  readonly dueAt: string;
  /** The end of its interval on the clocks of the schedule's timezone, with the offset: `2026-03-29 03:30 +02:00`. */
  readonly local: string;
}

/** A workflow's schedule, and what it calls for. */
export interface SchedulePreview {
  readonly workflow: string;
  readonly paused: boolean;
  readonly schedule: WorkflowSchedule | null;
  /** RFC 3339; null where nothing is due any more. */
  readonly nextRunAt: string | null;
  readonly upcoming: readonly UpcomingRun[];
}
