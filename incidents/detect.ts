/**
 * One look of all detectors at one moment. They ask side by side, and one that fails blinds no other; what a
 * failed one would have said is not known, so it neither opens nor closes anything.
 */
import type {
  Detector,
  DetectorAsset,
  DetectorContext,
  DetectorQuery,
  Finding,
  QueryRows,
} from '../domain/finding.ts';
import type { DetectorSetting, StoredRound } from './store/settings.ts';

export interface Round extends StoredRound {
  readonly kind: Detector['kind'];
  /** Empty where the state is `failed` or `off`. */
  readonly findings: readonly Finding[];
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface Look {
  readonly detectors: readonly Detector[];
  readonly settings: ReadonlyMap<string, DetectorSetting>;
  readonly assets: readonly DetectorAsset[];
  readonly now: number;
  query(query: DetectorQuery): Promise<QueryRows>;
  /** Milliseconds of a clock that only goes forward, for how long a round took. */
  stopwatch(): number;
}

/** Asks all detectors. */
export function detect(look: Look): Promise<readonly Round[]> {
  return Promise.all(look.detectors.map((detector) => judge(detector, look)));
}

async function judge(detector: Detector, look: Look): Promise<Round> {
  const startedAt = look.stopwatch();
  const set = look.settings.get(detector.id);
  const settings = { ...detector.defaults, ...set?.settings };
  const base = { detector: detector.id, kind: detector.kind, at: look.now, settings };
  if (set?.enabled === false) {
    return { ...base, tookMs: 0, state: 'off', error: null, findings: [] };
  }
  try {
    const context = { settings, assets: look.assets, now: look.now };
    const findings = await findingsAt(detector, context, look.query);
    const tookMs = look.stopwatch() - startedAt;
    return { ...base, tookMs, state: stateOf(findings), error: null, findings };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const tookMs = look.stopwatch() - startedAt;
    return { ...base, tookMs, state: 'failed', error: message.slice(0, 500), findings: [] };
  }
}

/** A detector's judgement of a moment. */
export async function findingsAt(
  detector: Detector,
  context: DetectorContext,
  query: Look['query'],
): Promise<readonly Finding[]> {
  const asked = Object.entries(detector.queries(context));
  const answers = await Promise.all(
    asked.map(async ([name, each]) => [name, await query(each)] as const),
  );
  return detector.evaluate(Object.fromEntries(answers), context);
}

function stateOf(findings: readonly Finding[]): StoredRound['state'] {
  if (findings.some(({ status }) => status === 'firing')) return 'firing';
  // Something silent beside much that is well is told by itself; only a blind detector is `unknown` as a whole.
  return findings.some((finding) => isBlind(finding)) ? 'unknown' : 'ok';
}

/** A finding that says: this detector sees nothing at all. */
export function isBlind(finding: Finding): boolean {
  return finding.status === 'unknown' && finding.fingerprint === finding.kind;
}
