/** What is known of one asset, and whether its policy accepts it. */
import { Cron } from 'croner';
import { evaluateFreshness } from '../../domain/asset.ts';
import type { DetectorAsset, QueryRows } from '../../domain/finding.ts';
import { formatDuration } from '../../domain/time.ts';
import { moment, type Row, text, tuples } from './rows.ts';

export interface AssetState {
  /** Event time of the newest version that was computed or observed. */
  readonly computedAt: number | null;
  readonly computedRecordedAt: number | null;
  readonly failedAt: number | null;
  /** When the first failure since the last success was recorded. */
  readonly firstFailureAt: number | null;
  readonly failing: boolean;
  readonly error: string;
  readonly row: Row;
}

export interface Judged {
  readonly key: string;
  /** Failed or stale: it may be the cause for what stands behind it. */
  readonly bad: boolean;
  /** Its own policy (or its being critical) makes it a finding. */
  readonly fires: boolean;
  readonly since: number;
  readonly reason: 'materialization-failed' | 'past-its-policy' | 'past-its-deadline';
  readonly what: string;
  readonly error: string | null;
}

/** Rows of the query by asset key. */
export function readStates(rows: QueryRows): ReadonlyMap<string, AssetState> {
  return new Map(rows.map((row) => [text(row, 'asset_key'), readState(row)]));
}

function readState(row: Row): AssetState {
  const computedAt = moment(row, 'computed_ms');
  const computedRecordedAt = moment(row, 'computed_recorded_ms');
  const failedAt = moment(row, 'failed_ms');
  const failedRecordedAt = moment(row, 'failed_recorded_ms');
  const failing =
    failedAt !== null &&
    (failedRecordedAt ?? 0) > (computedRecordedAt ?? 0) &&
    failedAt > (computedAt ?? 0);
  const first = tuples(row, 'failures').find(
    ([recorded = 0]) => recorded > (computedRecordedAt ?? 0),
  );
  return {
    computedAt,
    computedRecordedAt,
    failedAt,
    firstFailureAt: failing ? (first?.[0] ?? failedRecordedAt) : null,
    failing,
    error: errorOf(text(row, 'failed_detail')),
    row,
  };
}

const ERROR_LENGTH = 300;

/** The message of a failure, whichever way its detail tells it. */
function errorOf(detail: string): string {
  let message = detail;
  try {
    const value: unknown = JSON.parse(detail);
    message = messageIn(value) ?? detail;
  } catch {
    // Plain text is a message as well.
  }
  return message.slice(0, ERROR_LENGTH);
}

function messageIn(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value === null || typeof value !== 'object') return undefined;
  const { message, error, reason } = value as Record<string, unknown>;
  return messageIn(message) ?? messageIn(error) ?? messageIn(reason);
}

/** What is to be said of an asset at a moment; null where nothing is wrong, or nothing is known. */
export function judgeAsset(
  asset: DetectorAsset,
  state: AssetState | undefined,
  now: number,
  failureCountsAtOnce: boolean,
): Judged | null {
  if (!state) return null;
  const { policy, key } = asset;
  const atOnce = failureCountsAtOnce && (policy.critical || policy.fallback !== null);
  const stale = staleSince(asset, state, now);
  if (state.failing && state.firstFailureAt !== null) {
    return {
      key,
      bad: true,
      fires: atOnce || stale !== null,
      since: atOnce ? state.firstFailureAt : Math.max(state.firstFailureAt, stale?.since ?? 0),
      reason: 'materialization-failed',
      what: `failed: ${state.error || 'no reason was given'}`,
      error: state.error || null,
    };
  }
  if (stale === null) return null;
  return { key, bad: true, fires: true, error: null, ...stale };
}

const UNITS_MS = [86_400_000, 3_600_000, 60_000];
const LEAST_OF_A_UNIT = 2;

/** In the largest unit of which there are two: a person reads 20h, and 73779s takes a calculator. */
function formatAge(ms: number): string {
  const unit = UNITS_MS.find((size) => ms >= size * LEAST_OF_A_UNIT) ?? 1_000;
  return formatDuration(Math.floor(ms / unit) * unit, LEAST_OF_A_UNIT);
}

function staleSince(
  { policy }: DetectorAsset,
  state: AssetState,
  now: number,
): Pick<Judged, 'since' | 'reason' | 'what'> | null {
  const { computedAt } = state;
  if (evaluateFreshness(policy, computedAt, false, now) === 'stale' && computedAt !== null) {
    const limitMs = policy.failAfterMs ?? 0;
    const age = formatAge(now - computedAt);
    return {
      since: computedAt + limitMs,
      reason: 'past-its-policy',
      what: `is stale: its newest data is ${age} old, ${formatDuration(limitMs)} are allowed`,
    };
  }
  if (policy.deadlineCron === null) return null;
  const missed = missedDeadline(policy.deadlineCron, state.computedRecordedAt, now);
  if (missed === null) return null;
  return {
    since: missed,
    reason: 'past-its-deadline',
    what: `is stale: nothing new came by its deadline of ${new Date(missed).toISOString()}`,
  };
}

/** The last deadline, if no version came between the one before it and now. */
function missedDeadline(cron: string, recordedAt: number | null, now: number): number | null {
  let instants: readonly Date[];
  try {
    instants = new Cron(cron, { timezone: 'UTC' }).previousRuns(2, new Date(now));
  } catch {
    // Policies are parsed where they are set; one that is broken all the same blinds no other asset.
    return null;
  }
  const [last, before] = instants.map((instant) => instant.getTime());
  if (last === undefined || before === undefined) return null;
  return recordedAt === null || recordedAt <= before ? last : null;
}
