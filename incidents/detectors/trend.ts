/** Straight lines through samples: how fast something grows, how well a line tells it, and when it is full. */

export interface Sample {
  readonly at: number;
  readonly value: number;
}

export interface Trend {
  /** Units in a second. */
  readonly perSecond: number;
  /** Share of the variation that the line explains, 0 to 1. A step gives at most 0.75. */
  readonly fit: number;
  /** Share of the steps between samples that go up. */
  readonly rising: number;
  readonly spanMs: number;
  readonly samples: number;
}

/** Least squares through the samples; null for fewer than two moments. */
export function trendOf(samples: readonly Sample[]): Trend | null {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.at === first.at) return null;
  const n = samples.length;
  const meanX = samples.reduce((sum, { at }) => sum + (at - first.at), 0) / n;
  const meanY = samples.reduce((sum, { value }) => sum + value, 0) / n;
  let xx = 0;
  let xy = 0;
  let yy = 0;
  let up = 0;
  for (const [index, { at, value }] of samples.entries()) {
    const x = at - first.at - meanX;
    const y = value - meanY;
    xx += x * x;
    xy += x * y;
    yy += y * y;
    if (index > 0 && value > (samples[index - 1]?.value ?? value)) up++;
  }
  return {
    perSecond: (xy / xx) * 1_000,
    fit: yy === 0 ? 0 : (xy * xy) / (xx * yy),
    rising: up / (n - 1),
    spanMs: last.at - first.at,
    samples: n,
  };
}

/** Milliseconds until `limit` is reached at this pace; infinite where it does not grow. */
export function msUntil(limit: number, value: number, trend: Trend): number {
  if (value >= limit) return 0;
  if (trend.perSecond <= 0) return Number.POSITIVE_INFINITY;
  return ((limit - value) / trend.perSecond) * 1_000;
}

/**
 * First index of the run of moments, up to the last one, at all of which `holds` is true; −1 where it is not
 * true at the last. So a detector can tell since when it could have known.
 */
export function sinceIndex(length: number, holds: (index: number) => boolean): number {
  let first = -1;
  for (let index = length - 1; index >= 0 && holds(index); index--) first = index;
  return first;
}
