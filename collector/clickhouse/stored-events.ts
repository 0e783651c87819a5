/** Which events of a batch ClickHouse has already. */
import type { AssetEvent, EventBatch, RunEvent } from '../../domain/events.ts';
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';
import { TABLES } from './tables.ts';

export type AskClickHouse = (query: DetectorQuery) => Promise<QueryRows>;

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
  const [first] = events;
  if (!first) return events;
  let [fromId, toId] = [first.id, first.id];
  let [fromMs, toMs] = [timeOf(first), timeOf(first)];
  for (const event of events) {
    if (event.id < fromId) fromId = event.id;
    if (event.id > toId) toId = event.id;
    fromMs = Math.min(fromMs, timeOf(event));
    toMs = Math.max(toMs, timeOf(event));
  }
  // Ids increase, so that between the batch's first and last there are few others.
  const rows = await ask({
    sql: `SELECT DISTINCT event_id FROM ${table}
          WHERE event_id BETWEEN {fromId:String} AND {toId:String}
            AND ${column} BETWEEN fromUnixTimestamp64Milli({fromMs:Int64}) AND fromUnixTimestamp64Milli({toMs:Int64})`,
    parameters: { fromId, toId, fromMs, toMs },
  });
  const stored = new Set(rows.map((row) => row['event_id']));
  return events.filter((event) => !stored.has(event.id));
}
