/**
 * Pools as they were last seen: the newest sample of each instance, summed over the instances of a pool. For pools
 * told by OTLP the instance is the service, and pools of different services are different pools.
 */
import type { QueryRows } from '../../domain/finding.ts';
import type { Pool } from '../../domain/pool.ts';
import type { AskClickHouse } from './stored-events.ts';

/** An instance that said nothing for this long beside others of its pool is gone. */
const INSTANCE_SILENT_SECONDS = 30;
/** A pool that nobody mentioned for this long is no longer listed. */
const POOL_SILENT_SECONDS = 3_600;

const SQL = `
WITH newest AS (
  SELECT pool, kind, instance,
         max(at) AS last,
         argMax(used, at) AS used, argMax(idle, at) AS idle,
         argMax(waiting, at) AS waiting, argMax(max, at) AS ceiling
  FROM signalbox.pool_samples
  WHERE at > fromUnixTimestamp64Milli({now:Int64}) - INTERVAL {poolSilent:UInt32} SECOND
  GROUP BY pool, kind, instance
)
SELECT pool, kind, if(kind = 'otel', instance, '') AS service, sum(used) AS used_sum, sum(idle) AS idle_sum, sum(waiting) AS waiting_sum,
       sum(ceiling) AS max_sum, toUnixTimestamp64Milli(max(last)) AS last_at
FROM (SELECT *, max(last) OVER (PARTITION BY pool, kind, if(kind = 'otel', instance, '')) AS pool_last FROM newest)
WHERE last > pool_last - INTERVAL {instanceSilent:UInt32} SECOND
GROUP BY pool, kind, service
ORDER BY pool, kind, service`;

/** Newest state of every pool that was seen within the last hour. */
export async function readPoolsSeen(ask: AskClickHouse, nowMs: number): Promise<readonly Pool[]> {
  const rows = await ask({
    sql: SQL,
    parameters: {
      now: nowMs,
      poolSilent: POOL_SILENT_SECONDS,
      instanceSilent: INSTANCE_SILENT_SECONDS,
    },
  });
  return rows.map(toPool);
}

function toPool(row: QueryRows[number]): Pool {
  const max = Number(row['max_sum']);
  const service = String(row['service']);
  return {
    name: String(row['pool']),
    ...(service === '' ? {} : { instance: service }),
    kind: String(row['kind']),
    used: Number(row['used_sum']),
    idle: Number(row['idle_sum']),
    waiting: Number(row['waiting_sum']),
    // A ceiling of 0 was never told.
    max: max > 0 ? max : null,
    at: new Date(Number(row['last_at'])).toISOString(),
  };
}
