import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCollector } from '../../collector/create.ts';
import type { Collector } from '../../collector/service.ts';
import { systemClock } from '../../domain/time.ts';
import { createOrchestrator } from '../../orchestrator/create.ts';
import type { Orchestrator } from '../../orchestrator/service.ts';
import { migrate } from '../../server/migrate.ts';
import { startTestClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { openLineageEvents } from './recordings.ts';

let clickhouse: TestClickHouse;
let postgres: TestPostgres;
let spool: TempDir;
let orchestrator: Orchestrator;
let collector: Collector;

beforeAll(async () => {
  [clickhouse, postgres, spool] = await Promise.all([
    startTestClickHouse(),
    startTestPostgres(),
    makeTempDir('spool'),
  ]);
  await migrate(postgres.url);
  orchestrator = await createOrchestrator({
    databaseUrl: postgres.url,
    clock: systemClock,
    log: () => undefined,
  });
  collector = createCollector({
    clickhouse: {
      url: clickhouse.url,
      reader: { user: 'reader', password: clickhouse.reader.password },
      writer: { user: 'writer', password: clickhouse.writer.password },
    },
    externalSink: orchestrator.external,
    eventSource: orchestrator.events,
    watchedPostgres: [],
    spoolDir: spool.path,
    clock: systemClock,
    log: () => undefined,
  });
  await collector.migrate();
  await collector.start();
});
afterAll(async () => {
  await collector.stop();
  await orchestrator.close();
  await Promise.all([clickhouse.stop(), postgres.stop(), spool.remove()]);
});

describe("what other systems tell by OpenLineage, from their request to the product's own tables", () => {
  it("makes Airflow's runs, with the tasks under their DAG runs, and dbt's models assets with lineage", async () => {
    for (const name of ['airflow', 'dbt-run', 'dbt-test', 'dbt-run-structured'] as const) {
      const events = openLineageEvents(name);
      // A sender that heard no answer sends again; ends overtake starts.
      expect((await collector.receiveOpenLineage(events.toReversed())).faults).toEqual([]);
      expect((await collector.receiveOpenLineage(events)).accepted).toBe(events.length);
    }
    const airflow = await orchestrator.runs.list({ engine: 'openlineage:lab', limit: 200 });
    const dag = airflow.items.find(
      (run) => run.workflow === 'two_task' && run.logicalDate !== null,
    );
    const tasks = airflow.items.filter((run) => run.parentRunId === dag?.id);
    expect(tasks.map((task) => [task.workflow, task.state]).sort()).toEqual([
      ['two_task.extract', 'succeeded'],
      ['two_task.load', 'succeeded'],
    ]);
    expect(dag).toMatchObject({
      state: 'succeeded',
      logicalDate: '2026-01-01T00:00:00.000Z',
      engine: 'openlineage:lab',
    });
    const failed = airflow.items.filter((run) => run.workflow === 'fails.boom');
    expect(failed.map((run) => run.error?.message)).toEqual(
      Array.from({ length: 2 }, () => expect.stringContaining('exit code 3')),
    );
    const shop = 'duckdb:///data/lab/clients/dbtproj/shop.duckdb';
    const totals = await orchestrator.assets.get(`${shop}/shop.main.customer_totals`);
    expect(totals.dependsOn).toEqual([`${shop}/shop.main.stg_orders`]);
    // Materialized at the time of the COMPLETE that is the latest, however often it came.
    expect(totals.lastMaterialization?.at).toMatch(/^2026-11-23T18:05:/);
    const versions = await orchestrator.assets.materializations(totals.key, {});
    expect(versions.items).toHaveLength(2);
    const lineage = await orchestrator.assets.lineage(`${shop}/shop.main.stg_orders`, 1);
    expect(lineage.edges).toContainEqual({
      from: `${shop}/shop.main.stg_orders`,
      to: `${shop}/shop.main.customer_totals`,
    });
  });

  it('follows each change of those runs and assets into ClickHouse, once', async () => {
    collector.nudge();
    const runs = await orchestrator.runs.list({ engine: 'openlineage:lab', limit: 200 });
    const rows = await waitFor(async () => {
      const found = await collector.query({
        sql: `SELECT run_id, argMax(state, (at, event_id)) AS last, count() AS n, uniqExact(event_id) AS ids
              FROM signalbox.run_events WHERE engine = 'openlineage:lab' GROUP BY run_id`,
        parameters: {},
      });
      return found.length === runs.items.length ? found : undefined;
    });
    expect(rows.every((row) => row['n'] === row['ids'])).toBe(true);
    const states = new Map(rows.map((row) => [row['run_id'], row['last']]));
    const ended = runs.items.filter((run) => run.finishedAt !== null);
    expect(ended.length).toBeGreaterThan(10);
    for (const run of ended) expect([run.id, states.get(run.id)]).toEqual([run.id, run.state]);
    const checks = await waitFor(async () => {
      const found = await collector.query({
        sql: `SELECT DISTINCT type FROM signalbox.asset_events WHERE type LIKE 'check-%' ORDER BY type`,
        parameters: {},
      });
      return found.length > 0 ? found : undefined;
    });
    expect(checks).toEqual([{ type: 'check-failed' }, { type: 'check-passed' }]);
  });
});
