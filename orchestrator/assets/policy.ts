/**
 * The policy that holds for an asset: what code declares, overlaid field by field by what was set by hand
 * (a null that was set takes a declared limit away); and the freshness that follows from it.
 */
import {
  evaluateFreshness,
  type Freshness,
  type FreshnessPolicy,
  NO_POLICY,
} from '../../domain/asset.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { type EpochMs, formatDuration, parseDuration } from '../../domain/time.ts';
import { parseCron, previousInstant } from '../schedule/cron.ts';
import type { AssetPolicyInput } from '../service.ts';

export type StoredPolicy = Partial<FreshnessPolicy>;

export function effectivePolicy(declared: StoredPolicy, set: StoredPolicy): FreshnessPolicy {
  return { ...NO_POLICY, ...declared, ...set };
}

/** Policies speak of `60m`, `24h`, `36h`, rather than of one hour or of one day. */
const LEAST_OF_A_UNIT = 2;

/** A policy in the form in which it is given and shown. */
export function describePolicy(policy: FreshnessPolicy) {
  return {
    warnAfter:
      policy.warnAfterMs === null ? null : formatDuration(policy.warnAfterMs, LEAST_OF_A_UNIT),
    failAfter:
      policy.failAfterMs === null ? null : formatDuration(policy.failAfterMs, LEAST_OF_A_UNIT),
    deadlineCron: policy.deadlineCron,
    critical: policy.critical,
    fallback: policy.fallback,
  };
}

/** @throws SignalboxError `invalid-request` that names the field */
export function readPolicyInput(input: AssetPolicyInput): StoredPolicy {
  const { warnAfter, failAfter, deadlineCron, critical, fallback } = input;
  const policy: StoredPolicy = {
    ...(warnAfter === undefined ? {} : { warnAfterMs: readDuration('warnAfter', warnAfter) }),
    ...(failAfter === undefined ? {} : { failAfterMs: readDuration('failAfter', failAfter) }),
    ...(deadlineCron === undefined ? {} : { deadlineCron }),
    ...(critical === undefined ? {} : { critical }),
    ...(fallback === undefined ? {} : { fallback }),
  };
  if (deadlineCron) assertDeadline(deadlineCron);
  const { warnAfterMs, failAfterMs } = policy;
  if (warnAfterMs && failAfterMs && warnAfterMs > failAfterMs) {
    throw new SignalboxError('invalid-request', 'warnAfter is longer than failAfter', [
      { path: '/warnAfter', message: 'must not be longer than failAfter' },
    ]);
  }
  return policy;
}

function assertDeadline(cron: string): void {
  try {
    parseCron({ cron, timezone: 'UTC' });
  } catch (error) {
    const detail = error instanceof SignalboxError ? error.detail : undefined;
    const message = detail ?? String(error);
    throw new SignalboxError('invalid-request', message, [{ path: '/deadlineCron', message }]);
  }
}

function readDuration(field: string, text: string | null): number | null {
  if (text === null) return null;
  try {
    return parseDuration(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SignalboxError('invalid-request', message, [{ path: `/${field}`, message }]);
  }
}

/**
 * Freshness at one moment, for many assets. Beside age it looks at the deadline: at each of its instants the
 * data must be newer than the instant before, else it is stale until it comes.
 */
export function freshnessAt(nowMs: EpochMs) {
  const required = new Map<string, EpochMs | null>();
  return (policy: FreshnessPolicy, computedAtMs: EpochMs | null, fallback: boolean): Freshness => {
    const byAge = evaluateFreshness(policy, computedAtMs, fallback, nowMs);
    if ((byAge !== 'fresh' && byAge !== 'warning') || policy.deadlineCron === null) return byAge;
    const newerThan = memo(required, policy.deadlineCron, (cron) => oldestAllowed(cron, nowMs));
    return newerThan !== null && computedAtMs !== null && computedAtMs <= newerThan
      ? 'stale'
      : byAge;
  };
}

/** The deadline before the last one: data that is not newer than this has missed the last one. */
function oldestAllowed(cron: string, nowMs: EpochMs): EpochMs | null {
  const schedule = { cron, timezone: 'UTC' };
  const last = previousInstant(schedule, nowMs + 1);
  return last === null ? null : previousInstant(schedule, last);
}

function memo<V>(known: Map<string, V>, key: string, make: (key: string) => V): V {
  const before = known.get(key);
  if (before !== undefined) return before;
  const made = make(key);
  known.set(key, made);
  return made;
}
