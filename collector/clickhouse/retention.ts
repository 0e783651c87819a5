/**
 * How long rows stay in ClickHouse: a TTL on each table, changed only where it is another one. Tables are partitioned
 * by day and drop whole parts (`ttl_only_drop_parts`), so that a TTL rewrites nothing.
 */
import type { Connection } from './connection.ts';

/** Of each kind its tables, with the column that a row's age goes by. */
const TABLES_OF: Readonly<Record<string, readonly (readonly [table: string, column: string])[]>> = {
  traces: [
    ['otel.otel_traces', 'Timestamp'],
    ['otel.otel_traces_trace_id_ts', 'Start'],
  ],
  logs: [['otel.otel_logs', 'Timestamp']],
  metrics: ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary'].map(
    (kind) => [`otel.otel_metrics_${kind}`, 'TimeUnix'] as const,
  ),
  samples: [
    ['signalbox.heartbeats', 'at'],
    ['signalbox.pool_samples', 'at'],
  ],
  'run-events': [['signalbox.run_events', 'at']],
  'asset-events': [
    ['signalbox.asset_events', 'recorded_at'],
    ['signalbox.lineage_events', 'received_at'],
  ],
  'incident-events': [['signalbox.incident_events', 'at']],
};

const TTL = /\bTTL .*?toIntervalSecond\((\d+)\)/s;
const ANY_TTL = /\bTTL /;

/**
 * Sets the TTL of all tables whose is another.
 * @param keeps how long each kind is kept, in milliseconds; null for ever
 * @returns the tables that were changed
 */
export async function applyRetention(
  connection: Pick<Connection, 'writer' | 'queryAsWriter'>,
  keeps: ReadonlyMap<string, number | null>,
): Promise<readonly string[]> {
  const rows = await connection.queryAsWriter({
    sql: `SELECT concat(database, '.', name) AS table, engine_full FROM system.tables
          WHERE database IN ('otel', 'signalbox')`,
    parameters: {},
  });
  const engines = new Map(rows.map((row) => [String(row['table']), String(row['engine_full'])]));
  const changed: string[] = [];
  for (const [kind, tables] of Object.entries(TABLES_OF)) {
    const keepMs = keeps.get(kind);
    if (keepMs === undefined) continue;
    const seconds = keepMs === null ? null : Math.ceil(keepMs / 1_000);
    for (const [table, column] of tables) {
      const engine = engines.get(table);
      if (engine === undefined || secondsOf(engine) === seconds) continue;
      const change =
        seconds === null
          ? 'REMOVE TTL'
          : `MODIFY TTL toDateTime(${column}) + toIntervalSecond(${seconds})`;
      await connection.writer.command({ query: `ALTER TABLE ${table} ${change}` });
      changed.push(table);
    }
  }
  return changed;
}

/** Seconds of a table's TTL; null without one, undefined where it is one of another form. */
function secondsOf(engine: string): number | null | undefined {
  const [, seconds] = TTL.exec(engine) ?? [];
  if (seconds !== undefined) return Number(seconds);
  return ANY_TTL.test(engine) ? undefined : null;
}
