/** A real ClickHouse with the product's tables, filled with rows as the collector writes them. */
import { createClient } from '@clickhouse/client';
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';
import { startCollector } from '../collector/start.ts';
import { startTestClickHouse } from '../support/clickhouse.ts';

export interface Telemetry extends AsyncDisposable {
  query(query: DetectorQuery): Promise<QueryRows>;
  /** Appends rows; columns that are not given take their type's default. */
  insert(table: string, rows: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  clear(): Promise<void>;
}

const TABLES = ['pool_samples', 'run_events', 'asset_events', 'heartbeats'];

export async function startTelemetry(): Promise<Telemetry> {
  const server = await startTestClickHouse();
  const started = await startCollector(server.url);
  const writer = createClient({ url: server.url, ...server.writer });
  return {
    query: (query) => started.collector.query(query),
    async insert(table, rows) {
      await writer.insert({ table: `signalbox.${table}`, values: rows, format: 'JSONEachRow' });
    },
    async clear() {
      for (const table of TABLES) {
        await writer.command({ query: `TRUNCATE TABLE signalbox.${table}` });
      }
    },
    async [Symbol.asyncDispose]() {
      await writer.close();
      await started[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}
