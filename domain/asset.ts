/**
 * Assets and the truth about their freshness. Freshness looks at event time: when the newest data is from,
 * not when somebody last wrote a row. A fallback is `degraded`, never `fresh`; no data is `unknown`.
 */
import type { EpochMs } from './time.ts';

export const FRESHNESS = ['fresh', 'warning', 'stale', 'degraded', 'unknown'] as const;
export type Freshness = (typeof FRESHNESS)[number];

/** Policy with parsed durations. `deadlineCron` is when data must be there at the latest (UTC). */
export interface FreshnessPolicy {
  readonly warnAfterMs: number | null;
  readonly failAfterMs: number | null;
  readonly deadlineCron: string | null;
  readonly critical: boolean;
  readonly fallback: 'last-good' | null;
}

export const NO_POLICY: FreshnessPolicy = {
  warnAfterMs: null,
  failAfterMs: null,
  deadlineCron: null,
  critical: false,
  fallback: null,
};

/** Where a version of an asset came from. */
export type Provenance = 'computed' | 'fallback' | 'observed';

/** A recorded version of an asset. `at` is its event time. */
export interface Materialization {
  readonly id: string;
  readonly assetKey: string;
  readonly at: string;
  readonly recordedAt: string;
  readonly runId: string | null;
  readonly partition: string | null;
  readonly provenance: Provenance;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** An asset as lists and pages show it. */
export interface Asset {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly description: string | null;
  readonly owners: readonly string[];
  /** Whether it is made elsewhere: it is known, yet no code here makes it. */
  readonly external: boolean;
  readonly freshness: Freshness;
  readonly lastMaterialization: Materialization | null;
  readonly policy: {
    warnAfter: string | null;
    failAfter: string | null;
    deadlineCron: string | null;
    critical: boolean;
    fallback: 'last-good' | null;
  };
  readonly dependsOn: readonly string[];
  readonly checks: readonly {
    name: string;
    passed: boolean | null;
    blocking: boolean;
    at: string | null;
  }[];
}

/**
 * Freshness of an asset at a moment.
 * @param computedAtMs event time of the newest version that was computed or observed (not a fallback), or null
 * @param fallback whether the version that is served now is a fallback
 */
export function evaluateFreshness(
  policy: FreshnessPolicy,
  computedAtMs: EpochMs | null,
  fallback: boolean,
  nowMs: EpochMs,
): Freshness {
  if (fallback) return 'degraded';
  if (computedAtMs === null) return 'unknown';
  const ageMs = nowMs - computedAtMs;
  if (policy.failAfterMs !== null && ageMs > policy.failAfterMs) return 'stale';
  if (policy.warnAfterMs !== null && ageMs > policy.warnAfterMs) return 'warning';
  return 'fresh';
}

/**
 * An asset key is `namespace/name`; the name may hold further slashes. A namespace of OpenLineage may be a URL:
 * `s3://bucket/a/b` is `a/b` in `s3://bucket`. One without a host is the path of a database file, which ends at
 * the last slash: `duckdb:///data/shop.duckdb/main.orders`.
 */
export function splitAssetKey(key: string): { namespace: string; name: string } {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(key)?.[0].length ?? 0;
  const isFile = scheme > 0 && key[scheme] === '/';
  const at = isFile ? key.lastIndexOf('/') : key.indexOf('/', scheme);
  return at < 0
    ? { namespace: 'default', name: key }
    : { namespace: key.slice(0, at), name: key.slice(at + 1) };
}
