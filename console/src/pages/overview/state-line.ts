/**
 * The one line over the diagram. It says the worst thing that is known, in one sentence, and never says
 * 'all clear' where nothing is known.
 */
import type { Asset } from '../../../../domain/asset.ts';
import type { Incident } from '../../../../domain/incident.ts';
import { formatCount, formatSpan, formatStopwatch } from '../../parts/format.ts';
import { type SignName, signOfIncident } from '../../parts/sign-of.ts';

export interface StateLine {
  readonly sign: SignName;
  readonly text: string;
  /** What follows in smaller type. */
  readonly detail: string;
  readonly incidentId: string | null;
}

const STATUS_WORDS: Record<Incident['status'], string> = {
  open: 'waiting',
  acknowledged: 'acknowledged',
  mitigating: 'being mitigated',
  mitigated: 'mitigated, being verified',
  resolved: 'resolved',
};

const RANK: Record<Incident['severity'], number> = { critical: 0, error: 1, warning: 2, info: 3 };

/** @param incidents newest first, open and resolved ones */
export function stateLine(
  incidents: readonly Incident[],
  assets: readonly Asset[],
  nowMs: number,
): StateLine {
  const open = incidents.filter(({ status }) => status !== 'resolved');
  const [worst] = open.toSorted((a, b) => RANK[a.severity] - RANK[b.severity]);
  if (worst) return incidentLine(worst, open.length, nowMs);
  const stale = assets.filter(({ freshness }) => freshness === 'stale' || freshness === 'degraded');
  if (stale.length > 0) {
    return {
      sign: stale.some(({ freshness }) => freshness === 'stale') ? 'danger' : 'degraded',
      text: `No incident is open, but ${formatCount(stale.length, 'asset is', 'assets are')} not fresh`,
      detail: keysOf(stale),
      incidentId: null,
    };
  }
  return unknownLine(assets) ?? clearLine(incidents, nowMs);
}

/** What nothing is known of: all there is, or what people must be called for. Null where that is nothing. */
function unknownLine(assets: readonly Asset[]): StateLine | null {
  const unknown = assets.filter(({ freshness }) => freshness === 'unknown');
  const critical = unknown.filter(({ policy }) => policy.critical);
  if (critical.length > 0 && unknown.length < assets.length) {
    return {
      sign: 'unknown',
      text: `No incident is open, but nothing is known of ${formatCount(critical.length, 'critical asset')}`,
      detail: `${keysOf(critical)}: no data so far`,
      incidentId: null,
    };
  }
  if (unknown.length === 0 || unknown.length < assets.length) return null;
  return {
    sign: 'unknown',
    text: 'No incident is open, and nothing is known yet',
    detail: `${formatCount(unknown.length, 'asset has', 'assets have')} no data so far`,
    incidentId: null,
  };
}

const KEYS_SHOWN = 3;

/** The first by name, and how many more there are. */
function keysOf(assets: readonly Asset[]): string {
  const shown = assets.slice(0, KEYS_SHOWN).map(({ key }) => key);
  const more = assets.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

function incidentLine(worst: Incident, count: number, nowMs: number): StateLine {
  const behind = worst.affected.length;
  return {
    sign: signOfIncident(worst),
    text: `${formatCount(count, 'incident')}: ${worst.title}`,
    detail: [
      behind > 0 ? `${countAffected(worst)} affected` : null,
      STATUS_WORDS[worst.status],
      `detected ${formatStopwatch(nowMs - Date.parse(worst.detectedAt))} ago`,
      worst.needsHuman ? 'needs a hand' : null,
    ]
      .filter((part) => part !== null)
      .join(' · '),
    incidentId: worst.id,
  };
}

/** `61 assets`, `1 workflow`; `4 things` where they are of several kinds. */
function countAffected({ affected }: Incident): string {
  const [first] = affected;
  const isOneKind = affected.every(({ type }) => type === first?.type);
  return formatCount(affected.length, isOneKind && first ? first.type : 'thing');
}

function clearLine(incidents: readonly Incident[], nowMs: number): StateLine {
  const last = incidents
    .map(({ resolvedAt }) => (resolvedAt === null ? 0 : Date.parse(resolvedAt)))
    .reduce((latest, at) => Math.max(latest, at), 0);
  if (last === 0) {
    return { sign: 'clear', text: 'All clear', detail: 'no incident so far', incidentId: null };
  }
  return {
    sign: 'clear',
    text: `All clear for ${formatSpan(nowMs - last)}`,
    detail: `last: ${incidents.find(({ resolvedAt }) => resolvedAt !== null)?.title ?? ''}`,
    incidentId: null,
  };
}
