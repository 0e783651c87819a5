/** Which events of a batch ClickHouse has already. */
import type { AssetEvent, EventBatch, RunEvent } from '../../domain/events.ts';
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';
import { TABLES } from './tables.ts';

export type AskClickHouse = (query: DetectorQuery) => Promise<QueryRows>;

/** Ids in one query: parameters travel in the URL, which servers limit to some kilobytes. */
const IDS_PER_QUERY = 150;

/** The batch without the events that are stored. */
export async function withoutStored(batch: EventBatch, ask: AskClickHouse): Promise<EventBatch> {
  const runEvents = await fresh(batch.runEvents, ask, TABLES.runEvents, 'at', (event) => event.at);
  const assetEvents = await fresh(
    batch.assetEvents,
    ask,
    TABLES.assetEvents,
    'recorded_at',
    (event) => event.recordedAt,
  );
  return { ...batch, runEvents, assetEvents };
}

async function fresh<T extends RunEvent | AssetEvent>(
  events: readonly T[],
  ask: AskClickHouse,
  table: string,
  column: string,
  timeOf: (event: T) => number,
): Promise<readonly T[]> {
  const stored = new Set<unknown>();
  for (let start = 0; start < events.length; start += IDS_PER_QUERY) {
    const some = events.slice(start, start + IDS_PER_QUERY);
    const rows = await ask({
      sql: `SELECT event_id FROM ${table} WHERE event_id IN {ids:Array(String)}
            AND ${column} BETWEEN fromUnixTimestamp64Milli({from:Int64}) AND fromUnixTimestamp64Milli({to:Int64})`,
      parameters: {
        ids: some.map((event) => event.id),
        from: Math.min(...some.map(timeOf)),
        to: Math.max(...some.map(timeOf)),
      },
    });
    for (const row of rows) stored.add(row['event_id']);
  }
  return events.filter((event) => !stored.has(event.id));
}
