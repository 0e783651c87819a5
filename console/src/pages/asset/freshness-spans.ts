/**
 * The freshness of an asset over time, worked out from its versions and its policy: the same function that
 * the server uses, asked for each moment at which its answer can change.
 */
import {
  evaluateFreshness,
  type Freshness,
  type FreshnessPolicy,
  type Provenance,
} from '../../../../domain/asset.ts';

export interface FreshnessSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly freshness: Freshness;
}

interface Version {
  readonly at: string;
  readonly recordedAt: string;
  readonly provenance: Provenance;
}

export function freshnessSpans(
  versions: readonly Version[],
  policy: FreshnessPolicy,
  fromMs: number,
  toMs: number,
): FreshnessSpan[] {
  const events = versions
    .map((version) => ({
      recordedMs: Date.parse(version.recordedAt),
      dataMs: Date.parse(version.at),
      fallback: version.provenance === 'fallback',
    }))
    .sort((a, b) => a.recordedMs - b.recordedMs);
  const limits = [policy.warnAfterMs, policy.failAfterMs].filter((limit) => limit !== null);
  const moments = new Set([fromMs, toMs]);
  for (const { recordedMs, dataMs } of events) {
    moments.add(recordedMs);
    for (const limit of limits) moments.add(dataMs + limit + 1);
  }
  const ordered = [...moments].filter((at) => at >= fromMs && at <= toMs).sort((a, b) => a - b);
  const spans: FreshnessSpan[] = [];
  for (const [index, at] of ordered.entries()) {
    const end = ordered[index + 1];
    if (end === undefined) break;
    const known = events.filter(({ recordedMs }) => recordedMs <= at);
    const computed = known.filter(({ fallback }) => !fallback).map(({ dataMs }) => dataMs);
    const freshness = evaluateFreshness(
      policy,
      computed.length > 0 ? Math.max(...computed) : null,
      known.at(-1)?.fallback ?? false,
      at,
    );
    const last = spans.at(-1);
    if (last?.freshness === freshness) spans[spans.length - 1] = { ...last, toMs: end };
    else spans.push({ fromMs: at, toMs: end, freshness });
  }
  return spans;
}
