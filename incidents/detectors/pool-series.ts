/**
 * Pools over time, as the detector of exhaustion sees them: which queries bring them, and how their rows become
 * series. Two time scales: raw samples of the last minutes, and buckets of the last quarter of an hour, since
 * some pools fill up within seconds and others within half an hour.
 */
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';
import type { PoolHolder } from '../../domain/pool.ts';
import { num, type Row, text, tuples } from './rows.ts';

export interface Point {
  readonly at: number;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
  readonly reserved: number;
  readonly timeouts: number;
}

export interface Series {
  readonly pool: string;
  readonly kind: string;
  readonly instance: string;
  /** Empty where it is not known. */
  readonly server: string;
  readonly points: readonly Point[];
}

export interface HoldersAt {
  readonly at: number;
  readonly holders: readonly PoolHolder[];
}

const SAMPLES_OF = (since: string) => `
FROM signalbox.pool_samples
WHERE at > fromUnixTimestamp64Milli({${since}:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64})`;

const RECENT_SQL = `
SELECT pool, kind, instance, argMax(server, at) AS server_name,
       arraySort(groupArray(1000)((toUnixTimestamp64Milli(at), used, idle, waiting, max, reserved, timeouts))) AS points
${SAMPLES_OF('recent')}
GROUP BY pool, kind, instance
HAVING kind = 'postgres-server' OR max(waiting) > 0 OR max((used + idle) / greatest(max, 1)) >= {watchRatio:Float64}
ORDER BY pool, kind, instance
LIMIT 500`;

const HISTORY_SQL = `
SELECT pool, kind, instance, any(server_name) AS server_name,
       arraySort(groupArray((bucket, used_mean, idle_mean, waiting_least, ceiling, kept, timeouts_most))) AS points
FROM (
  SELECT pool, kind, instance, argMax(server, at) AS server_name,
         toUnixTimestamp(toStartOfInterval(at, INTERVAL 15 SECOND)) * 1000 AS bucket,
         avg(used) AS used_mean, avg(idle) AS idle_mean,
         min(if(used >= max, waiting, 0)) AS waiting_least,
         max(max) AS ceiling, max(reserved) AS kept, max(timeouts) AS timeouts_most
  ${SAMPLES_OF('from')}
  GROUP BY pool, kind, instance, bucket
)
GROUP BY pool, kind, instance
HAVING max((used_mean + idle_mean) / greatest(ceiling, 1)) >= {watchRatio:Float64}
ORDER BY pool, kind, instance
LIMIT 500`;

const HOLDERS_SQL = `
SELECT if(server = '', pool, server) AS server_name, toUnixTimestamp64Milli(at) AS at_ms, holders
${SAMPLES_OF('holdersFrom')} AND kind = 'postgres-server'
ORDER BY server_name, at
LIMIT 2000`;

const SEEN_SQL = `
SELECT pool, kind, argMax(server, at) AS server_name, toUnixTimestamp64Milli(max(at)) AS last_ms
${SAMPLES_OF('seenFrom')}
GROUP BY pool, kind
ORDER BY pool, kind
LIMIT 5000`;

export interface PoolWindows {
  readonly recentMs: number;
  readonly historyMs: number;
  readonly holdersMs: number;
  readonly seenMs: number;
  /** Pools that never came this near their ceiling and have no queue are left out by the query itself. */
  readonly watchRatio: number;
}

/** The queries of a moment. */
export function poolQueries(
  now: number,
  windows: PoolWindows,
): Readonly<Record<'recent' | 'history' | 'holders' | 'seen', DetectorQuery>> {
  const to = now;
  const { watchRatio } = windows;
  return {
    recent: { sql: RECENT_SQL, parameters: { recent: now - windows.recentMs, to, watchRatio } },
    history: { sql: HISTORY_SQL, parameters: { from: now - windows.historyMs, to, watchRatio } },
    holders: { sql: HOLDERS_SQL, parameters: { holdersFrom: now - windows.holdersMs, to } },
    seen: { sql: SEEN_SQL, parameters: { seenFrom: now - windows.seenMs, to } },
  };
}

/** Rows of `recent` or `history` as series in order of time. */
export function readSeries(rows: QueryRows): readonly Series[] {
  return rows.map((row) => ({
    pool: text(row, 'pool'),
    kind: text(row, 'kind'),
    instance: text(row, 'instance'),
    server: serverOf(row),
    points: tuples(row, 'points').map(
      ([at = 0, used = 0, idle = 0, waiting = 0, max = 0, reserved = 0, timeouts = 0]) => ({
        at,
        used,
        idle,
        waiting,
        max,
        reserved,
        timeouts,
      }),
    ),
  }));
}

/** A watched server is its own server. */
function serverOf(row: Row): string {
  const server = text(row, 'server_name');
  return server === '' && text(row, 'kind') === 'postgres-server' ? text(row, 'pool') : server;
}

/** Who held connections, for each server in order of time. */
export function readHolders(rows: QueryRows): ReadonlyMap<string, readonly HoldersAt[]> {
  const byServer = new Map<string, HoldersAt[]>();
  for (const row of rows) {
    const server = text(row, 'server_name');
    const list = byServer.get(server) ?? [];
    byServer.set(server, list);
    list.push({ at: num(row, 'at_ms'), holders: parseHolders(text(row, 'holders')) });
  }
  return byServer;
}

function parseHolders(json: string): readonly PoolHolder[] {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? (value as PoolHolder[]) : [];
  } catch {
    return [];
  }
}

/** Pools that were heard of, with the moment of their last sample. */
export function readSeen(
  rows: QueryRows,
): readonly { pool: string; kind: string; server: string; lastAt: number }[] {
  return rows.map((row) => ({
    pool: text(row, 'pool'),
    kind: text(row, 'kind'),
    server: serverOf(row),
    lastAt: num(row, 'last_ms'),
  }));
}
