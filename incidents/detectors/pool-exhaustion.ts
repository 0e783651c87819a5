/**
 * Pools that are running out, found before they are full. A server that fills up and the client pools that
 * starve on it are one trouble: findings are folded by server, and the server's state decides the diagnosis.
 */

import type {
  Detector,
  DetectorContext,
  DetectorQuery,
  Finding,
  QueryRows,
  Subject,
} from '../../domain/finding.ts';
import type { PoolHolder } from '../../domain/pool.ts';
import { type Diagnosis, diagnose } from './pool-diagnosis.ts';
import { capacityOf, type Fired, firePool, loadOf } from './pool-rules.ts';
import {
  type HoldersAt,
  poolQueries,
  readHolders,
  readSeen,
  readSeries,
  type Series,
} from './pool-series.ts';
import { evidenceOf, setting } from './rows.ts';

const ID = { id: 'pool-exhaustion', version: '1' } as const;

const DEFAULTS = {
  recentWindowMs: 180_000,
  historyWindowMs: 900_000,
  holdersWindowMs: 20_000,
  seenWindowMs: 3_600_000,
  watchRatio: 0.3,
  levelRatio: 0.9,
  levelHoldMs: 2_000,
  waitingHoldMs: 4_000,
  clientSideHoldMs: 10_000,
  fastWindowMs: 15_000,
  fastHorizonMs: 30_000,
  fastLeastRatio: 0.75,
  fastLeastCeiling: 20,
  slowLeastRatio: 0.7,
  slowLeastSpanMs: 180_000,
  slowHorizonMs: 600_000,
  leakLeastSessions: 8,
  leakLeastRatio: 0.08,
  leakHorizonMs: 120_000,
  taskSlotsHoldMs: 600_000,
  silentAfterMs: 15_000,
  otelSilentAfterMs: 150_000,
  holdMs: 5_000,
  verifyLimitMs: 60_000,
} as const;

/** Detector of pools that run out. */
export const poolExhaustion: Detector = {
  ...ID,
  kind: 'pool-exhaustion',
  summary: 'Pools that are full with a queue, or on their way there, with what makes them so',
  defaults: DEFAULTS,
  queries: (context) => queriesAt(context),
  evaluate(answers, context) {
    const seen = readSeen(answers['seen'] ?? []);
    if (seen.length === 0) return [nothingSeen()];
    const recent = readSeries(answers['recent'] ?? []);
    const history = readSeries(answers['history'] ?? []);
    const holders = readHolders(answers['holders'] ?? []);
    const groups = new Map<string, Fired[]>();
    for (const series of recent) {
      const last = series.points.at(-1);
      if (!last || context.now - last.at > silentAfter(series.kind, context)) continue;
      const past = history.find((each) => sameSeries(each, series));
      const fired = firePool(series, past, holders.get(series.server) ?? [], context.settings);
      if (!fired) continue;
      const key = fingerprintOf(series);
      groups.set(key, [...(groups.get(key) ?? []), fired]);
    }
    const findings = [...groups].map(([fingerprint, fired]) =>
      toFinding(fingerprint, fired, holders, context),
    );
    return [...findings, ...silentPools(seen, context)];
  },
};

function queriesAt({ now, settings }: DetectorContext) {
  return poolQueries(now, {
    recentMs: setting(settings, 'recentWindowMs'),
    historyMs: Math.max(
      setting(settings, 'historyWindowMs'),
      setting(settings, 'taskSlotsHoldMs') * 1.25,
    ),
    holdersMs: setting(settings, 'holdersWindowMs'),
    seenMs: setting(settings, 'seenWindowMs'),
    watchRatio: setting(settings, 'watchRatio'),
  });
}

function silentAfter(kind: string, { settings }: DetectorContext): number {
  return setting(settings, kind === 'otel' ? 'otelSilentAfterMs' : 'silentAfterMs');
}

function sameSeries(a: Series, b: Series): boolean {
  return a.pool === b.pool && a.kind === b.kind && a.instance === b.instance;
}

/** By server where it is known; pools of one name in different services are different pools for OTel alone. */
function fingerprintOf(series: Series): string {
  if (series.server !== '') return `${ID.id}:server:${series.server}`;
  const name = series.kind === 'otel' ? `${series.instance}/${series.pool}` : series.pool;
  return `${ID.id}:pool:${name}`;
}

function toFinding(
  fingerprint: string,
  fired: readonly Fired[],
  holders: ReadonlyMap<string, readonly HoldersAt[]>,
  context: DetectorContext,
): Finding {
  const ordered = fired.toSorted(
    (a, b) => rank(a) - rank(b) || a.series.pool.localeCompare(b.series.pool),
  );
  const first = ordered[0] as Fired;
  const moments = holders.get(first.series.server);
  const now = moments?.at(-1)?.holders;
  const verdict = diagnose(ordered, now);
  return {
    kind: 'pool-exhaustion',
    fingerprint,
    status: 'firing',
    severity: ordered.some(isUrgent) ? 'critical' : 'error',
    title: titleOf(first, verdict),
    rootCause: verdict.cause,
    diagnosis: verdict.diagnosis,
    subjects: subjectsOf(ordered),
    affected: affectedBy(first.series.server, ordered),
    evidence: evidenceFor(ordered, now, context),
    since: Math.min(...ordered.map((each) => each.since)),
    reason: first.reason,
  };
}

const RANKS: Readonly<Record<Fired['reason'], number>> = {
  'leak-grows': 0,
  'level-above-threshold': 1,
  'waiting-at-ceiling': 2,
  'timeouts-grow': 3,
  'waiting-below-ceiling': 4,
  'trend-to-full': 5,
  'queue-stays': 6,
};

function rank(fired: Fired): number {
  return RANKS[fired.reason];
}

function isUrgent({ reason, fullInMs }: Fired): boolean {
  return reason === 'level-above-threshold' || (fullInMs !== null && fullInMs < 60_000);
}

function titleOf({ series, reason, fullInMs }: Fired, { diagnosis, cause }: Diagnosis): string {
  const point = series.points.at(-1);
  const level = point ? `${loadOf(series, point)} of ${capacityOf(series, point)}` : 'all';
  const what = series.kind === 'postgres-server' ? `Server ${series.pool}` : nameOf(series);
  const why = diagnosis === 'unclear' || cause === null ? '' : ` (${diagnosis}: ${cause})`;
  if (reason === 'leak-grows' || reason === 'trend-to-full') {
    const seconds = Math.round((fullInMs ?? 0) / 1_000);
    return `${what} fills up: ${level} connections, full in about ${seconds} s${why}`;
  }
  if (reason === 'level-above-threshold') return `${what} is nearly full: ${level}${why}`;
  return `${what} is exhausted: ${level} in use, ${point?.waiting ?? 0} waiting${why}`;
}

/** OpenTelemetry's pools often have one name in all services. */
function nameOf({ kind, pool, instance }: Series): string {
  return kind === 'otel' && instance !== '' ? `Pool ${pool} of ${instance}` : `Pool ${pool}`;
}

function subjectsOf(fired: readonly Fired[]): Subject[] {
  const server = fired[0]?.series.server ?? '';
  const pools = fired.filter(({ series }) => series.pool !== server);
  return [
    ...(server === '' ? [] : [{ type: 'server', id: server } as const]),
    ...[...new Set(pools.map(({ series }) => series.pool))].map(
      (id) => ({ type: 'pool', id }) as const,
    ),
  ];
}

/** What suffers are the client pools on the server. */
function affectedBy(server: string, fired: readonly Fired[]): Subject[] {
  return fired
    .filter(({ series }) => series.server === server && series.kind !== 'postgres-server')
    .map(({ series }) => ({ type: 'pool', id: series.pool }));
}

const EVIDENCE_POINTS = 20;

function evidenceFor(
  fired: readonly Fired[],
  holders: readonly PoolHolder[] | undefined,
  context: DetectorContext,
) {
  const queries: Readonly<Record<string, DetectorQuery>> = queriesAt(context);
  const rows: QueryRows = fired.flatMap(({ series }) =>
    series.points.slice(-EVIDENCE_POINTS).map((point) => ({
      pool: series.pool,
      kind: series.kind,
      instance: series.instance,
      server: series.server,
      ...point,
    })),
  );
  const threshold = { ...context.settings, reasons: fired.map((each) => each.reason) };
  const { recent, holders: holding } = queries;
  return [
    ...(recent ? [evidenceOf(ID, recent, rows, threshold)] : []),
    ...(holding && holders
      ? [
          evidenceOf(
            ID,
            holding,
            holders.map((holder) => ({ ...holder })),
            threshold,
          ),
        ]
      : []),
  ];
}

function nothingSeen(): Finding {
  return unknown(ID.id, 'No pool has sent a sample', [], 0);
}

/** A pool that fell silent may be full or not: nobody can tell, and nothing about it is resolved. */
function silentPools(seen: ReturnType<typeof readSeen>, context: DetectorContext): Finding[] {
  return seen
    .filter((pool) => context.now - pool.lastAt > silentAfter(pool.kind, context))
    .map((pool) => {
      const type = pool.kind === 'postgres-server' ? 'server' : 'pool';
      const since = pool.lastAt + silentAfter(pool.kind, context);
      return unknown(
        `${ID.id}:silent:${pool.pool}`,
        `Pool ${pool.pool} fell silent`,
        [{ type, id: pool.pool }],
        since,
      );
    });
}

function unknown(fingerprint: string, title: string, subjects: Subject[], since: number): Finding {
  return {
    kind: 'pool-exhaustion',
    fingerprint,
    status: 'unknown',
    severity: 'info',
    title,
    rootCause: null,
    diagnosis: null,
    subjects,
    affected: [],
    evidence: [],
    since,
    reason: 'no-samples',
  };
}
