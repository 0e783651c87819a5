import { readFileSync } from 'node:fs';
import { createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  assetEventRow,
  heartbeatRow,
  incidentEventRow,
  lineageEventRow,
  poolSampleRow,
  runEventRow,
} from '../../../collector/clickhouse/tables.ts';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { assetEvent, runEvent, type StartedCollector, startCollector } from '../start.ts';

let clickhouse: TestClickHouse;
let started: StartedCollector;
let applied: readonly string[];
const files = ['0001_otel_tables', '0002_product_tables'];

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  started = await startCollector(clickhouse.url, { migrate: false });
  applied = await started.collector.migrate();
});
afterAll(async () => {
  await started[Symbol.asyncDispose]();
  await clickhouse.stop();
});

interface Column {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly default_kind: string;
}

async function columnsOf(database: string): Promise<Map<string, Column[]>> {
  const rows = await started.collector.query({
    sql: 'SELECT table, name, type, default_kind FROM system.columns WHERE database = {database:String} ORDER BY table, position',
    parameters: { database },
  });
  const tables = new Map<string, Column[]>();
  for (const row of rows as unknown as Column[]) {
    tables.set(row.table, [...(tables.get(row.table) ?? []), row]);
  }
  return tables;
}

describe('migrations of ClickHouse', () => {
  it('are applied in order once, and not again', async () => {
    expect(applied.slice(0, 2)).toEqual(files);
    expect(await started.collector.migrate()).toEqual([]);
  });

  it('do no harm when two servers apply them at once', async () => {
    await using fresh = await startTestClickHouse();
    await using one = await startCollector(fresh.url, { migrate: false });
    await using other = await startCollector(fresh.url, { migrate: false });
    await Promise.all([one.collector.migrate(), other.collector.migrate()]);
    expect(await one.collector.migrate()).toEqual([]);
  });

  it('refuse to go on where an applied one was changed afterwards', async () => {
    const writer = createClient({ url: clickhouse.url, ...clickhouse.writer });
    await writer.insert({
      table: 'signalbox.schema_migrations',
      values: [{ version: 9_999, name: 'other', checksum: 'x' }],
      format: 'JSONEachRow',
    });
    expect(await started.collector.migrate()).toEqual([]);
    await writer.command({
      query:
        "ALTER TABLE signalbox.schema_migrations UPDATE checksum = 'changed' WHERE version = 1 SETTINGS mutations_sync = 2",
    });
    await expect(started.collector.migrate()).rejects.toThrow('0001_otel_tables was changed');
    await writer.close();
  });
});

describe('the schema', () => {
  it("has the exporter's tables column by column", async () => {
    const file = new URL('../../fixtures/otlp/exporter-tables.json', import.meta.url);
    const expected = JSON.parse(readFileSync(file, 'utf8')) as Record<
      string,
      { columns: Record<string, string>; materialized: Record<string, string> }
    >;
    const tables = await columnsOf('otel');
    for (const [table, { columns, materialized }] of Object.entries(expected)) {
      const found = tables.get(table) ?? [];
      const plain = found.filter((column) => column.default_kind === '');
      expect(plain.map(({ name, type }) => [name, type])).toEqual(Object.entries(columns));
      const made = found.filter((column) => column.default_kind === 'MATERIALIZED');
      for (const [name, type] of Object.entries(materialized)) {
        expect(made).toContainEqual({ table, name, type, default_kind: 'MATERIALIZED' });
      }
    }
  });

  it('has a column for each field of a row that the code writes, and no other', async () => {
    const tables = await columnsOf('signalbox');
    const rows: Record<string, object> = {
      run_events: runEventRow(runEvent(1)),
      asset_events: assetEventRow(assetEvent(1)),
      pool_samples: poolSampleRow({
        at: 0,
        pool: '',
        kind: '',
        instance: '',
        server: '',
        used: 0,
        idle: 0,
        waiting: 0,
        max: 0,
        reserved: 0,
        timeouts: 0,
        holders: '[]',
      }),
      heartbeats: heartbeatRow({
        at: 0,
        kind: 'agent',
        id: '',
        name: '',
        state: 'online',
        running: 0,
        intervalMs: 0,
      }),
      incident_events: incidentEventRow({}, 0),
      lineage_events: lineageEventRow({
        at: 0,
        receivedMs: 0,
        type: '',
        jobNamespace: '',
        jobName: '',
        runId: '',
        inputs: [],
        outputs: [],
        event: '',
      }),
    };
    for (const [table, row] of Object.entries(rows)) {
      const plain = (tables.get(table) ?? []).filter((column) => column.default_kind === '');
      expect(Object.keys(row)).toEqual(plain.map((column) => column.name));
    }
    const known = [...Object.keys(rows), 'schema_migrations'];
    expect([...tables.keys()].sort()).toEqual(known.sort());
  });
});
