/** Detectors as people see and set them. */
import { type FieldFault, SignalboxError } from '../domain/errors.ts';
import type { Detector } from '../domain/finding.ts';
import { parseDuration } from '../domain/time.ts';
import type { DetectorSummary } from './service.ts';
import type { Db } from './store/incidents.ts';
import { loadDetectorSettings, loadRounds } from './store/settings.ts';

/** All detectors with their settings and newest rounds. */
export async function summarizeDetectors(
  db: Db,
  detectors: readonly Detector[],
): Promise<readonly DetectorSummary[]> {
  const [settings, rounds] = await Promise.all([loadDetectorSettings(db), loadRounds(db)]);
  return detectors.map((detector) => {
    const set = settings.get(detector.id);
    const round = rounds.get(detector.id);
    const enabled = set?.enabled ?? true;
    return {
      id: detector.id,
      version: detector.version,
      kind: detector.kind,
      summary: detector.summary,
      enabled,
      settings: { ...detector.defaults, ...set?.settings },
      defaults: detector.defaults,
      lastRoundAt: round ? new Date(round.at).toISOString() : null,
      lastRoundMs: round?.tookMs ?? null,
      lastError: round?.error ?? null,
      state: enabled ? (round?.state ?? 'unknown') : 'off',
    };
  });
}

/**
 * Settings as numbers; durations may be given as text (`"90s"`).
 * @throws SignalboxError `invalid-request` that names each setting that does not exist or has no valid value
 */
export function parseSettings(
  detector: Detector,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, number>> {
  const faults: FieldFault[] = [];
  const parsed: Record<string, number> = {};
  for (const [name, value] of Object.entries(given)) {
    const path = `/settings/${name}`;
    if (!Object.hasOwn(detector.defaults, name)) {
      const known = Object.keys(detector.defaults).join(', ');
      faults.push({ path, message: `${detector.id} has no such setting; it has ${known}` });
      continue;
    }
    const number = toNumber(name, value);
    if (number === null) faults.push({ path, message: 'is not a number of 0 or more' });
    else parsed[name] = number;
  }
  if (faults.length > 0) throw new SignalboxError('invalid-request', undefined, faults);
  return parsed;
}

function toNumber(name: string, value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : null;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string' || !name.endsWith('Ms')) return null;
  try {
    return parseDuration(value);
  } catch {
    return null;
  }
}
