import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogLine } from '../../domain/agent-protocol.ts';
import type { PoolSample } from '../../domain/events.ts';
import { startTestClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startTestPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';
import { openLineageEvents } from './recordings.ts';
import { type StartedCollector, startCollector } from './start.ts';

let clickhouse: TestClickHouse;
let started: StartedCollector;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  started = await startCollector(clickhouse.url);
});
afterAll(async () => {
  await started[Symbol.asyncDispose]();
  await clickhouse.stop();
});

function ask(sql: string, parameters: Record<string, unknown> = {}) {
  return started.collector.query({ sql, parameters });
}

describe('queries', () => {
  it('take typed parameters, whatever stands in them', async () => {
    const rows = await ask(
      'SELECT {text:String} AS text, {list:Array(String)} AS list, {number:Int64} AS number, {at:DateTime64(3)} AS at',
      { text: "a'b\\c\n\t{x}", list: ["'", 'é'], number: 7, at: new Date(Date.UTC(2026, 0, 1)) },
    );
    expect(rows).toEqual([
      { text: "a'b\\c\n\t{x}", list: ["'", 'é'], number: 7, at: '2026-01-01 00:00:00.000' },
    ]);
  });

  it('can only read', async () => {
    for (const sql of [
      "INSERT INTO signalbox.heartbeats (id) VALUES ('x')",
      'DROP TABLE signalbox.heartbeats',
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      'SELECT 1 SETTINGS readonly = 0, allow_ddl = 1',
    ]) {
      await expect(ask(sql)).rejects.toThrow();
    }
    await expect(ask('SELECT no_such_column FROM signalbox.heartbeats')).rejects.toThrow(
      'ClickHouse',
    );
  });
});

describe('queries where nobody told of a user who can only read', () => {
  it('still can only read', async () => {
    await using alone = await startCollector(clickhouse.url, { withoutReader: true });
    const query = (sql: string) => alone.collector.query({ sql, parameters: {} });
    await expect(query('DROP TABLE signalbox.lineage_events')).rejects.toThrow();
    await expect(query('TRUNCATE TABLE signalbox.lineage_events')).rejects.toThrow();
    expect(await query('SELECT count() AS n FROM signalbox.lineage_events')).toHaveLength(1);
  });
});

describe('what the product records of itself', () => {
  it('is there: heartbeats, incident events and lineage', async () => {
    const { collector } = started;
    const at = Date.UTC(2026, 10, 24, 8);
    await collector.recordHeartbeats([
      {
        at,
        kind: 'agent',
        id: 'a-1',
        name: 'agent',
        state: 'online',
        running: 3,
        intervalMs: 5_000,
      },
    ]);
    await collector.recordIncidentEvent({
      at: new Date(at).toISOString(),
      incidentId: 'i-1',
      number: 4,
      kind: 'pool-exhaustion',
      status: 'open',
      severity: 'critical',
      type: 'opened',
      reason: 'level-above-threshold',
      actor: 'signalbox',
      detail: { pool: 'orders' },
    });
    await collector.receiveOpenLineage(openLineageEvents('dbt-run'));
    await waitFor(async () => (await ask('SELECT 1 FROM signalbox.heartbeats')).length === 1);
    expect(await ask('SELECT id, running, interval_ms FROM signalbox.heartbeats')).toEqual([
      { id: 'a-1', running: 3, interval_ms: 5_000 },
    ]);
    expect(
      await ask('SELECT incident_id, number, reason, detail FROM signalbox.incident_events'),
    ).toEqual([
      {
        incident_id: 'i-1',
        number: 4,
        reason: 'level-above-threshold',
        detail: '{"pool":"orders"}',
      },
    ]);
    const lineage = await ask(
      "SELECT type, job_name, length(outputs) AS outputs, JSONExtractString(event, 'eventType') AS told FROM signalbox.lineage_events WHERE job_name LIKE '%customer_totals' ORDER BY at",
    );
    expect(lineage).toEqual([
      { type: 'START', job_name: 'shop.main.labshop.customer_totals', outputs: 1, told: 'START' },
      {
        type: 'COMPLETE',
        job_name: 'shop.main.labshop.customer_totals',
        outputs: 1,
        told: 'COMPLETE',
      },
    ]);
    expect(started.external).toHaveLength(6);
  });

  it('gives logs back run by run, oldest first, page by page, and by task', async () => {
    const { collector } = started;
    const line = (n: number): LogLine & { workflow: string; agent: string } => ({
      runId: 'run-1',
      taskKey: n % 2 === 0 ? 'extract' : 'load',
      attempt: 2,
      // Many lines within one millisecond keep their order.
      at: Date.UTC(2026, 10, 24) + Math.floor(n / 10),
      level: n === 3 ? 'error' : 'info',
      message: `line ${n} é`,
      attributes: { n, nested: { a: 1 } },
      workflow: 'orders',
      agent: 'agent-1',
    });
    await collector.recordLogs(Array.from({ length: 25 }, (_, n) => line(n)));
    await collector.recordLogs([{ ...line(0), runId: 'run-2' }]);
    const messages: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await collector.runLogs(
        'run-1',
        cursor === undefined ? { limit: 7 } : { limit: 7, cursor },
      );
      expect(page.items.length).toBeLessThanOrEqual(7);
      messages.push(...page.items.map((item) => item.message));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(messages).toEqual(Array.from({ length: 25 }, (_, n) => `line ${n} é`));
    const { items } = await collector.runLogs('run-1', { taskKey: 'load', limit: 2 });
    expect(items[1]).toMatchObject({
      runId: 'run-1',
      taskKey: 'load',
      attempt: 2,
      at: Date.UTC(2026, 10, 24),
      level: 'error',
      message: 'line 3 é',
      attributes: { n: '3', nested: '{"a":1}' },
    });
    await expect(collector.runLogs('run-1', { cursor: "0' OR 1" })).rejects.toMatchObject({
      code: 'invalid-cursor',
    });
  });

  it('sums client pools over the agents that report them, and drops those that fell silent', async () => {
    const now = Date.now();
    const sample = (fields: Partial<PoolSample>): PoolSample => ({
      at: now,
      pool: 'orders',
      kind: 'postgres-client',
      instance: 'agent-1',
      server: 'target',
      used: 1,
      idle: 1,
      waiting: 0,
      max: 5,
      reserved: 0,
      timeouts: 0,
      holders: '[]',
      ...fields,
    });
    await started.collector.recordPoolSamples([
      sample({ at: now - 2_000, used: 5, idle: 0 }),
      sample({}),
      sample({ instance: 'agent-2', used: 4, waiting: 3 }),
      sample({ instance: 'agent-3', at: now - 60_000, used: 5 }),
    ]);
    const pools = await waitFor(async () => {
      const seen = await started.collector.observedPools();
      return seen.length > 0 ? seen : undefined;
    });
    expect(pools).toEqual([
      {
        name: 'orders',
        kind: 'postgres-client',
        used: 5,
        idle: 2,
        waiting: 3,
        max: 10,
        at: new Date(now).toISOString(),
      },
    ]);
  });
});

describe('health', () => {
  it('tells that ClickHouse answers, that nothing waits on disk, and that nothing lags', async () => {
    await waitFor(async () => (await started.collector.health()).lagMs === 0);
    expect(await started.collector.health()).toEqual({
      clickhouse: 'ok',
      lagMs: 0,
      spooledBytes: 0,
    });
  });

  it('starts and stops without ClickHouse and without the watched server, in time', async () => {
    await using away = await startCollector('http://127.0.0.1:1', {
      migrate: false,
      watchedPostgres: [{ name: 'gone', url: 'postgres://x@127.0.0.1:1/x' }],
    });
    await expect(away.collector.migrate()).rejects.toThrow();
    expect((await away.collector.health()).clickhouse).toBe('unreachable');
    await expect(away.collector.query({ sql: 'SELECT 1', parameters: {} })).rejects.toMatchObject({
      code: 'unavailable',
    });
    away.collector.nudge();
    const before = performance.now();
    await away.collector.stop();
    expect(performance.now() - before).toBeLessThan(4_000);
  });

  it('shows a watched server among the observed pools within seconds', async () => {
    await using postgres = await startTestPostgres();
    await using watching = await startCollector(clickhouse.url, {
      watchedPostgres: [{ name: 'target', url: postgres.url }],
    });
    const { collector } = watching;
    const pool = await waitFor(async () =>
      (await collector.observedPools()).find((each) => each.kind === 'postgres-server'),
    );
    expect(pool).toMatchObject({ name: 'target', max: 300 });
    expect(collector.servers.list()).toEqual(['target']);
  });
});
