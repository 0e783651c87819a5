/**
 * When a pool is in trouble. A pool that is merely busy is not: there must be a queue that stays, or a server
 * near its limit, or a growth that leads there. Each rule tells since when it could have been known.
 */
import type { PoolHolder } from '../../domain/pool.ts';
import type { HoldersAt, Point, Series } from './pool-series.ts';
import { setting } from './rows.ts';
import { msUntil, sinceIndex, type Trend, trendOf } from './trend.ts';

export interface Fired {
  readonly series: Series;
  readonly since: number;
  readonly reason:
    | 'level-above-threshold'
    | 'waiting-at-ceiling'
    | 'waiting-below-ceiling'
    | 'timeouts-grow'
    | 'trend-to-full'
    | 'leak-grows'
    | 'queue-stays';
  /** Milliseconds until it is full, where a trend says so. */
  readonly fullInMs: number | null;
}

type Settings = Readonly<Record<string, unknown>>;

/** What can be given out of it. */
export function capacityOf(series: Series, point: Point): number {
  return series.kind === 'postgres-server' ? point.max - point.reserved : point.max;
}

/** What is given out: on a server an idle connection takes a place as well. */
export function loadOf(series: Series, point: Point): number {
  return series.kind === 'postgres-server' ? point.used + point.idle : point.used;
}

/** The first rule of the pool's kind that fires, gravest first. */
export function firePool(
  series: Series,
  history: Series | undefined,
  holders: readonly HoldersAt[],
  settings: Settings,
): Fired | null {
  if (series.points.length === 0) return null;
  if (series.kind === 'task-slots') return queueStays(series, history, settings);
  const slow = () => (history ? slowTrend(series, history, settings) : null);
  if (series.kind === 'postgres-server') {
    return (
      leakGrows(series, holders, settings) ??
      levelHigh(series, settings) ??
      fastTrend(series, settings) ??
      slow()
    );
  }
  return (
    held(series, setting(settings, 'waitingHoldMs'), 'waiting-at-ceiling', atCeiling) ??
    timeoutsGrow(series, settings) ??
    held(series, setting(settings, 'clientSideHoldMs'), 'waiting-below-ceiling', belowCeiling) ??
    fastTrend(series, settings) ??
    slow()
  );
}

const atCeiling = (point: Point) => point.waiting > 0 && point.max > 0 && point.used >= point.max;
const belowCeiling = (point: Point) =>
  point.waiting > 0 && point.max > 0 && point.used + point.idle < point.max * 0.9;

/** The condition was true in every sample for as long as `holdMs`, and in at least three. */
function held(
  series: Series,
  holdMs: number,
  reason: Fired['reason'],
  holds: (point: Point) => boolean,
): Fired | null {
  const { points } = series;
  const from = sinceIndex(points.length, (index) => {
    const point = points[index];
    return point !== undefined && holds(point);
  });
  const first = points[from];
  if (!first || points.length - from < 3) return null;
  const known = points.slice(from + 2).find((point) => point.at - first.at >= holdMs);
  return known ? { series, since: known.at, reason, fullInMs: null } : null;
}

function levelHigh(series: Series, settings: Settings): Fired | null {
  const ratio = setting(settings, 'levelRatio');
  return held(series, setting(settings, 'levelHoldMs'), 'level-above-threshold', (point) => {
    const capacity = capacityOf(series, point);
    return capacity > 0 && loadOf(series, point) >= ratio * capacity;
  });
}

/** Clients gave up waiting while everything was in use. */
function timeoutsGrow(series: Series, settings: Settings): Fired | null {
  const windowMs = setting(settings, 'fastWindowMs');
  const last = series.points.at(-1);
  if (!last || last.max === 0 || last.used < last.max * 0.95) return null;
  const window = series.points.filter((point) => point.at >= last.at - windowMs);
  const grew = window.findIndex(
    (point, index) => index > 0 && point.timeouts > (window[index - 1]?.timeouts ?? 0),
  );
  const at = window[grew]?.at;
  return at === undefined ? null : { series, since: at, reason: 'timeouts-grow', fullInMs: null };
}

/** Share of the capacity by which a pool must exceed where it has come down from before. */
const NEW_HIGH_RATIO = 0.02;
/** Share of the capacity by which a pool must rise where little is known of it. */
const FAR_RATIO = 0.2;

/**
 * Grows within seconds to where it has not been: a pool whose use goes up and down is busy, each rise of it looks
 * like this. Small pools jump too much for this to mean anything.
 */
function fastTrend(series: Series, settings: Settings): Fired | null {
  const { points } = series;
  if ((points.at(-1)?.max ?? 0) < setting(settings, 'fastLeastCeiling')) return null;
  const windowMs = setting(settings, 'fastWindowMs');
  const horizonMs = setting(settings, 'fastHorizonMs');
  const fullIn = (index: number): number | null => {
    const point = points[index];
    if (!point) return null;
    const window = points.slice(0, index + 1).filter(({ at }) => at >= point.at - windowMs);
    const trend = trendOf(window.map((each) => ({ at: each.at, value: loadOf(series, each) })));
    if (!trend || trend.samples < 6 || trend.rising < 0.6 || trend.fit < 0.85) return null;
    if (!isNewHigh(series, points.slice(0, index + 1), windowMs)) return null;
    return forecast(series, point, trend, setting(settings, 'fastLeastRatio'), horizonMs);
  };
  const from = sinceIndex(points.length, (index) => fullIn(index) !== null);
  return fromTrend(series, points[from]?.at, fullIn(points.length - 1));
}

/**
 * Whether the last point is above all points before its window. Where those tell less than the window is long,
 * nobody knows how the pool usually goes, so it must rise by far.
 */
function isNewHigh(series: Series, points: readonly Point[], windowMs: number): boolean {
  const last = points.at(-1);
  const first = points[0];
  if (!last || !first) return false;
  if (last.at - first.at < 2 * windowMs) {
    const least = points.reduce((min, point) => Math.min(min, loadOf(series, point)), Infinity);
    return loadOf(series, last) - least > FAR_RATIO * capacityOf(series, last);
  }
  const before = points.filter(({ at }) => at < last.at - windowMs);
  const highest = before.reduce((most, point) => Math.max(most, loadOf(series, point)), 0);
  return loadOf(series, last) > highest + NEW_HIGH_RATIO * capacityOf(series, last);
}

/** Grows over minutes: the pool that fills up within half an hour. */
function slowTrend(series: Series, history: Series, settings: Settings): Fired | null {
  const last = series.points.at(-1);
  // The newest bucket is still filling up.
  const buckets = history.points.slice(0, -1);
  if (!last) return null;
  const fullIn = (index: number): number | null => {
    const bucket = buckets[index];
    if (!bucket) return null;
    const trend = trendOf(
      buckets.slice(0, index + 1).map((each) => ({ at: each.at, value: loadOf(history, each) })),
    );
    if (!trend || trend.samples < 8 || trend.rising < 0.5 || trend.fit < 0.8) return null;
    if (trend.spanMs < setting(settings, 'slowLeastSpanMs')) return null;
    const ratio = setting(settings, 'slowLeastRatio');
    return forecast(history, bucket, trend, ratio, setting(settings, 'slowHorizonMs'));
  };
  const from = sinceIndex(buckets.length, (index) => fullIn(index) !== null);
  const stillHigh = loadOf(series, last) >= 0.9 * loadOf(history, buckets.at(-1) ?? last);
  const since = buckets[from]?.at;
  if (since === undefined || !stillHigh) return null;
  return fromTrend(series, Math.min(since + 15_000, last.at), fullIn(buckets.length - 1));
}

function forecast(
  series: Series,
  point: Point,
  trend: Trend,
  leastRatio: number,
  horizonMs: number,
): number | null {
  const capacity = capacityOf(series, point);
  const load = loadOf(series, point);
  if (capacity <= 0 || load < leastRatio * capacity) return null;
  const ms = msUntil(capacity, load, trend);
  return ms <= horizonMs ? ms : null;
}

function fromTrend(series: Series, since: number | undefined, fullInMs: number | null) {
  if (since === undefined || fullInMs === null) return null;
  return { series, since, reason: 'trend-to-full', fullInMs } as const;
}

/** Slots that are all taken are what they are for; that nothing moves for long is not. */
function queueStays(series: Series, history: Series | undefined, settings: Settings): Fired | null {
  const last = series.points.at(-1);
  const buckets = history?.points ?? [];
  if (!last || !atCeiling(last)) return null;
  const from = sinceIndex(buckets.length, (index) => (buckets[index]?.waiting ?? 0) > 0);
  const first = buckets[from];
  const holdMs = setting(settings, 'taskSlotsHoldMs');
  if (!first || last.at - first.at < holdMs) return null;
  return { series, since: first.at + holdMs, reason: 'queue-stays', fullInMs: null };
}

/** Sessions that are idle in a transaction: they hold a connection and do nothing. */
export function idleInTransaction(holder: PoolHolder): boolean {
  return holder.state.startsWith('idle in transaction');
}

/**
 * One role's application holds more and more sessions idle in transaction, and never ends the oldest: a leak
 * shows itself by this long before the server is full.
 */
function leakGrows(
  series: Series,
  holders: readonly HoldersAt[],
  settings: Settings,
): Fired | null {
  const last = series.points.at(-1);
  const newest = holders.at(-1);
  if (!last || !newest) return null;
  const capacity = capacityOf(series, last);
  const least = Math.max(
    setting(settings, 'leakLeastSessions'),
    setting(settings, 'leakLeastRatio') * capacity,
  );
  const room = capacity - loadOf(series, last);
  const suspects = newest.holders.filter(
    (holder) => idleInTransaction(holder) && holder.count >= least,
  );
  for (const suspect of suspects) {
    const counts = holders.map((moment) => groupAt(moment, suspect));
    const fullIn = (index: number) => leakFullInMs(counts.slice(0, index + 1), least, room);
    const from = sinceIndex(counts.length, (index) => {
      const ms = fullIn(index);
      return ms !== null && ms <= setting(settings, 'leakHorizonMs');
    });
    const since = counts[from]?.at;
    if (since === undefined) continue;
    return { series, since, reason: 'leak-grows', fullInMs: fullIn(counts.length - 1) };
  }
  return null;
}

function groupAt({ at, holders }: HoldersAt, group: PoolHolder) {
  const same = holders.filter(
    (holder) =>
      idleInTransaction(holder) &&
      holder.role === group.role &&
      holder.application === group.application,
  );
  return {
    at,
    value: same.reduce((sum, holder) => sum + holder.count, 0),
    oldest: same.reduce((most, holder) => Math.max(most, holder.oldestTransactionSeconds), 0),
  };
}

const LEAK_WINDOW_MS = 6_000;
const LEAK_LEAST_SPAN_MS = 2_500;

function leakFullInMs(
  counts: readonly { at: number; value: number; oldest: number }[],
  least: number,
  room: number,
): number | null {
  const last = counts.at(-1);
  if (!last || last.value < least) return null;
  const window = counts.filter(({ at }) => at >= last.at - LEAK_WINDOW_MS);
  const trend = trendOf(window);
  const first = window[0];
  if (!trend || !first || trend.samples < 4 || trend.spanMs < LEAK_LEAST_SPAN_MS) return null;
  if (trend.rising < 0.6 || trend.fit < 0.8) return null;
  // The oldest transaction must have grown older all the while: then it is the same one.
  const aged = (last.oldest - first.oldest) * 1_000;
  if (aged < 0.7 * trend.spanMs) return null;
  return msUntil(room, 0, trend);
}
