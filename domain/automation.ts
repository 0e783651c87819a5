/**
 * Declarative automation of assets: a condition says when an asset is to be made, and each look at it is explained.
 *
 * Operands are facts that stand in the database (what a version was made from, when a tick passed, which run is under
 * way), not pulses that somebody has to see: how often one looks changes nothing, and a look that was missed loses
 * nothing. Only `initial`, `newly-updated`, `newly-requested` and `newly-true` compare with the look before; `since`
 * keeps what they saw.
 */
import type { EpochMs } from './time.ts';

/** Operands without options, each about the asset (or the partition) itself. */
export const PLAIN_OPERANDS = [
  'missing',
  'newly-missing',
  'newly-updated',
  'newly-requested',
  'in-progress',
  'failed',
  'code-version-changed',
  'stale',
  'freshness-failing',
  'checks-passed',
  'initial',
] as const;
export type PlainOperand = (typeof PLAIN_OPERANDS)[number];

/** Operands about upstreams; of all of them, unless `only` or `ignore` name some. */
export const UPSTREAM_OPERANDS = [
  'any-upstream-updated',
  'any-upstream-missing',
  'any-upstream-in-progress',
  'any-upstream-failed',
  'any-upstream-check-failed',
] as const;
export type UpstreamOperand = (typeof UPSTREAM_OPERANDS)[number];

export interface UpstreamChoice {
  /** Keys of upstreams. */
  readonly only?: readonly string[];
  readonly ignore?: readonly string[];
}

export interface CronOfCondition {
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
}

/** A condition as it is registered: plain JSON. */
export type AutomationCondition =
  | {
      readonly kind: 'all' | 'any';
      readonly of: readonly AutomationCondition[];
      /** What the code calls it: `eager`, `on-missing`, `on-cron`. */
      readonly name?: string;
    }
  | { readonly kind: 'not' | 'newly-true'; readonly of: AutomationCondition }
  | {
      readonly kind: 'since';
      readonly trigger: AutomationCondition;
      readonly reset: AutomationCondition;
    }
  | ({ readonly kind: 'cron-tick' } & CronOfCondition)
  | ({ readonly kind: 'all-upstreams-updated-since' } & CronOfCondition & UpstreamChoice)
  | ({ readonly kind: UpstreamOperand } & UpstreamChoice)
  | { readonly kind: PlainOperand };

export interface AutomationDefinition {
  readonly condition: AutomationCondition;
  /** How long it may be held back before that is told. */
  readonly tellAfterMs: number;
  /** Of a partitioned asset: the newest so many are looked at, and what was held back before. */
  readonly partitions: number;
  /** Partitions of it that automation has under way at a time. */
  readonly maxPartitionsPerRound: number;
  /** Whether an upstream that is in progress, or has failed, holds it back. */
  readonly waitForUpstreams: boolean;
}

/** One node of an explained condition. */
export interface ConditionResult {
  readonly kind: string;
  /** The operand in words: `any upstream updated`. */
  readonly label: string;
  readonly met: boolean;
  /** What its truth follows from, in a sentence; null where the nodes below say it. */
  readonly detail: string | null;
  /** The same for programs: upstreams, versions, moments (RFC 3339), runs. */
  readonly evidence?: Readonly<Record<string, unknown>>;
  readonly of?: readonly ConditionResult[];
}

/**
 * - `requested`: a run was made.
 * - `held`: something calls for it, and something else holds it back.
 * - `idle`: nothing calls for it.
 */
export const AUTOMATION_DECISIONS = ['requested', 'held', 'idle'] as const;
export type AutomationDecision = (typeof AUTOMATION_DECISIONS)[number];

export const AUTOMATION_REASONS = [
  'condition-met',
  'nothing-new',
  'already-requested',
  'in-progress',
  'upstream-in-progress',
  'upstream-failed',
  'upstream-missing',
  'upstream-not-updated',
  'condition-not-met',
  'run-failed',
  'backing-off',
  'round-limit',
  'paused',
  'error',
] as const;

export interface AutomationReason {
  readonly code: (typeof AUTOMATION_REASONS)[number];
  /** In words: `waits for warehouse/raw_orders, in progress in run … since …`. */
  readonly message: string;
  readonly upstream?: string;
  readonly runId?: string;
  /** Until when it waits, RFC 3339. */
  readonly until?: string;
}

/** A look at an asset (or at one partition of it) whose outcome was another than that of the look before. */
export interface AutomationEvaluation {
  readonly id: string;
  readonly assetKey: string;
  /** Null where the asset is one whole. */
  readonly partition: string | null;
  /** When it was found first; it holds until the next one. RFC 3339. */
  readonly at: string;
  readonly decision: AutomationDecision;
  readonly reason: AutomationReason;
  /** Null where the condition could not be evaluated. */
  readonly condition: ConditionResult | null;
  /** What holds any asset back, whatever its condition. */
  readonly gates: readonly ConditionResult[];
  /** The run that it requested. */
  readonly runId: string | null;
}

export interface AutomationPause {
  readonly at: string;
  readonly by: string;
  /** Whether all automation is paused, or this asset's alone. */
  readonly all: boolean;
}

/** How the automation of an asset stands, as lists show it. */
export interface AutomationSummary {
  /** `pending`: nobody has looked yet. */
  readonly state: AutomationDecision | 'pending' | 'error';
  readonly reason: AutomationReason | null;
  readonly paused: boolean;
  /** Since when it, or the partition that waits longest, is held back. */
  readonly heldSince: string | null;
  /** Partitions that are held back; 0 or 1 where it is one whole. */
  readonly held: number;
  /** Whether it is held back for longer than it may be without being told. */
  readonly overdue: boolean;
}

/** The automation of one asset. */
export interface AssetAutomation extends AutomationSummary {
  readonly assetKey: string;
  readonly definition: AutomationDefinition;
  /** The condition as code has it: `eager()`. */
  readonly text: string;
  /** How it stands, in a sentence. */
  readonly summary: string;
  /** Since when it stands so. */
  readonly since: string | null;
  readonly pause: AutomationPause | null;
  readonly evaluatedAt: string | null;
  /** The next moment that a cron of its condition names. */
  readonly nextTickAt: string | null;
  readonly lastRequest: {
    readonly runId: string;
    readonly at: string;
    readonly partition: string | null;
  } | null;
  readonly error: string | null;
  /** The latest look; of a partitioned asset at most 100 partitions, those that are held back first. */
  readonly current: readonly AutomationEvaluation[];
}

/** An asset that automation made a run for, with what called for it. */
export interface AutomationCause {
  readonly asset: string;
  readonly partition: string | null;
  readonly message: string;
}

/** Consecutive requests whose runs failed are repeated at once, then after 1, 2, 4 … minutes, an hour at most. */
export function backOffMs(failures: number): number {
  const MINUTE_MS = 60_000;
  return failures < 2 ? 0 : Math.min(60 * MINUTE_MS, MINUTE_MS * 2 ** Math.min(10, failures - 2));
}

/** Unless told, an asset may be held back for a day before that is told. */
export const TELL_AFTER_MS: EpochMs = 86_400_000;
