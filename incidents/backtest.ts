/** The same detectors over recorded telemetry, moment by moment, by event time. */

import { SignalboxError } from '../domain/errors.ts';
import type {
  Detector,
  DetectorAsset,
  DetectorQuery,
  Finding,
  QueryRows,
} from '../domain/finding.ts';
import { findingsAt } from './detect.ts';

const STEP_LEAST_MS = 1_000;
const STEPS_USUAL = 2_000;
const STEPS_MOST = 100_000;
const AT_ONCE = 4;

export interface BacktestOf {
  readonly detector: Detector;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly assets: readonly DetectorAsset[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number | undefined;
  query(query: DetectorQuery): Promise<QueryRows>;
}

/** Each finding at the first moment at which it fired. */
export async function backtest(of: BacktestOf): Promise<readonly (Finding & { at: string })[]> {
  const { detector, settings, assets, fromMs, toMs } = of;
  const usual = Math.max(STEP_LEAST_MS, Math.ceil((toMs - fromMs) / STEPS_USUAL));
  const stepMs = of.stepMs ?? usual;
  if (!(toMs >= fromMs) || !(stepMs > 0) || (toMs - fromMs) / stepMs > STEPS_MOST) {
    const limit = `from must not be after to, and there may be ${STEPS_MOST} steps at most`;
    throw new SignalboxError('invalid-request', limit);
  }
  const first = new Map<string, Finding & { at: string }>();
  const moments: number[] = [];
  for (let now = fromMs; now < toMs; now += stepMs) moments.push(now);
  moments.push(toMs);
  for (let start = 0; start < moments.length; start += AT_ONCE) {
    const some = moments.slice(start, start + AT_ONCE);
    const all = await Promise.all(
      some.map((now) => findingsAt(detector, { settings, assets, now }, of.query)),
    );
    for (const [index, findings] of all.entries()) {
      for (const finding of findings) {
        if (finding.status !== 'firing' || first.has(finding.fingerprint)) continue;
        const at = new Date(some[index] ?? toMs).toISOString();
        first.set(finding.fingerprint, { ...finding, at });
      }
    }
  }
  return [...first.values()];
}
