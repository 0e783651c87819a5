/** What was seen of fast-moving numbers since the console was opened, for sparklines; 30 minutes at most. */

export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

const KEPT_MS = 30 * 60_000;
const MIN_GAP_MS = 1_000;
const MAX_SERIES = 500;

const series = $state<Record<string, readonly Sample[]>>({});

/** Adds what was just seen. Values closer than a second replace one another. */
export function recordSample(name: string, value: number): void {
  const atMs = Date.now();
  const known = series[name];
  if (!known && Object.keys(series).length >= MAX_SERIES) return;
  const kept = (known ?? []).filter((sample) => sample.atMs > atMs - KEPT_MS);
  const last = kept.at(-1);
  const before = last && atMs - last.atMs < MIN_GAP_MS ? kept.slice(0, -1) : kept;
  series[name] = [...before, { atMs, value }];
}

export function samplesOf(name: string): readonly Sample[] {
  return series[name] ?? [];
}
