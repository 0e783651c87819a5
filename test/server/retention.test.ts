/** What is kept for how long, over HTTP and on the command line, with PostgreSQL and ClickHouse behind. */
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RetentionReply } from '../../server/routes/retention.ts';
import { startProcess } from '../support/child-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
let test: TestServer;
let token: string;
let db: pg.Client;

beforeAll(async () => {
  test = await startTestServer();
  token = await test.token('admin');
  db = new pg.Client({ connectionString: test.databaseUrl });
  await db.connect();
});
afterAll(async () => {
  await db.end();
  await test[Symbol.asyncDispose]();
});

const list = async () =>
  (
    (await test.call('GET', '/api/v1/retention', { token })).body as {
      items: readonly RetentionReply[];
    }
  ).items;
const put = (keep: object) => test.call('PUT', '/api/v1/retention', { token, body: { keep } });

async function cli(...args: readonly string[]) {
  await using program = startProcess(process.execPath, [MAIN, ...args], {
    env: {
      ...{ SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: token, DATABASE_URL: test.databaseUrl },
    },
  });
  return { code: await program.waitForExit(), out: program.stdout() };
}

async function runRetention(): Promise<void> {
  const { reconcilers } = test.server.parts.orchestrator;
  await reconcilers.find(({ name }) => name === 'retention')?.run();
}

describe('retention', () => {
  it('has defaults, is set by an admin, and stands in the audit trail', async () => {
    const before = await list();
    expect(before.find(({ kind }) => kind === 'runs')).toMatchObject({
      ...{ keep: '90d', default: '90d', setBy: null },
    });
    expect(before.find(({ kind }) => kind === 'once-keys')?.keep).toBe('365d');
    const changed = await put({ runs: '30d', 'once-keys': 'forever' });
    expect(changed.status).toBe(200);
    const after = await list();
    expect(after.find(({ kind }) => kind === 'runs')?.keep).toBe('30d');
    expect(after.find(({ kind }) => kind === 'once-keys')?.keep).toBe('forever');
    const operator = await test.token('operator');
    const body = { keep: { runs: '1d' } };
    expect((await test.call('PUT', '/api/v1/retention', { token: operator, body })).status).toBe(
      403,
    );
    const audit = await test.call('GET', '/api/v1/audit', { token });
    expect(audit.body).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ action: 'PUT /api/v1/retention', outcome: 'ok' }),
        expect.objectContaining({ action: 'PUT /api/v1/retention', outcome: 'forbidden' }),
      ]),
    });
  });

  it('refuses what is not a time, what is too short, and what is not there, and then changes nothing', async () => {
    for (const [keep, detail] of [
      [{ traces: '7d', runs: 'soon' }, 'is not a duration'],
      [{ traces: '7d', runs: '0ms' }, 'at least 1d'],
      [{ traces: '7d', audit: '30d' }, 'at least 90d'],
      [{ traces: '7d', rums: '30d' }, 'there is no kind rums'],
    ] as const) {
      const answer = await put(keep);
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer.body)).toContain(detail);
    }
    expect((await list()).find(({ kind }) => kind === 'traces')?.keep).toBe('30d');
  });

  it('deletes resolved incidents with all that is of them, and leaves open ones', async () => {
    for (const status of ['resolved', 'open']) {
      const { rows } = await db.query<{ id: string }>(
        `INSERT INTO signalbox.incident (id, kind, fingerprint, status, severity, title, evidence_at, detected_at,
           resolved_at)
         VALUES (gen_random_uuid(), 'test', $1, $1, 'warning', 'old', now(), now() - interval '2 years',
           CASE WHEN $1 = 'resolved' THEN now() - interval '401 days' END) RETURNING id`,
        [status],
      );
      await db.query(
        `INSERT INTO signalbox.incident_event (incident_id, at, type, reason, actor)
         VALUES ($1, now(), 'opened', 'test', 'test')`,
        [rows[0]?.id],
      );
    }
    await runRetention();
    const left = await db.query(`SELECT fingerprint FROM signalbox.incident WHERE kind = 'test'`);
    expect(left.rows).toEqual([{ fingerprint: 'open' }]);
  });

  it('shortens the audit trail at its old end only; nobody else can', async () => {
    await db.query(
      `INSERT INTO signalbox.audit (id, at, actor, role, action, subject, outcome, status, request)
       OVERRIDING SYSTEM VALUE
       SELECT -d, now() - d * interval '1 day', 'old', 'admin', 'a', 's', 'ok', 200, 'r'
       FROM unnest(ARRAY[500, 401, 399, 89]) AS d`,
    );
    await expect(db.query('DELETE FROM signalbox.audit')).rejects.toThrow('append-only');
    await expect(db.query(`UPDATE signalbox.audit SET actor = 'me'`)).rejects.toThrow(
      'append-only',
    );
    await runRetention();
    const ages = () =>
      db.query(`SELECT -id AS age FROM signalbox.audit WHERE actor = 'old' ORDER BY id`);
    expect((await ages()).rows).toEqual([{ age: '399' }, { age: '89' }]);
    await db.query(`SELECT signalbox.delete_old_audit(now() + interval '1 year', 100)`);
    expect((await ages()).rows).toEqual([{ age: '89' }]);
    const young = await db.query(
      `SELECT count(*)::int AS n FROM signalbox.audit WHERE at > now() - interval '90 days'`,
    );
    expect(young.rows[0]?.n).toBeGreaterThan(0);
    await expect(db.query('DELETE FROM signalbox.audit')).rejects.toThrow('append-only');
  });

  it('sets the time to live in ClickHouse, where old parts go by themselves', async () => {
    const { collector } = test.server.parts;
    const ttlOf = async (table: string) => {
      const rows = await collector.query({
        sql: 'SELECT create_table_query AS text FROM system.tables WHERE database = {d:String} AND name = {t:String}',
        parameters: { d: table.split('.')[0] ?? '', t: table.split('.')[1] ?? '' },
      });
      return /toIntervalSecond\((\d+)\)/.exec(String(rows[0]?.['text']))?.[1] ?? null;
    };
    await put({ logs: '2d', 'run-events': 'forever', traces: '30d' });
    await runRetention();
    const day = 86_400;
    expect(await ttlOf('otel.otel_logs')).toBe(String(2 * day));
    expect(await ttlOf('otel.otel_traces')).toBe(String(30 * day));
    expect(await ttlOf('signalbox.run_events')).toBeNull();
    expect(await ttlOf('signalbox.asset_events')).toBe(String(400 * day));
    const line = (at: number) => ({
      ...{ at, level: 'info' as const, message: 'hello', attributes: {}, runId: 'r' },
      ...{ taskKey: 't', attempt: 1, workflow: 'w', agent: 'a' },
    });
    const now = test.server.parts.clock.now();
    await collector.recordLogs([line(now - 5 * day * 1_000), line(now)]);
    const count = async () => {
      const rows = await collector.query({
        sql: `SELECT toUInt32(count()) AS n FROM otel.otel_logs WHERE RunId = 'r'`,
        parameters: {},
      });
      return Number(rows[0]?.['n']);
    };
    await waitFor(async () => (await count()) === 1);
    const keeps = new Map([['logs', 2 * day * 1_000]]);
    expect(await collector.applyRetention(keeps)).toEqual([]);
  });

  it('is shown and set on the command line; `db status` tells sizes and what went', async () => {
    const set = await cli('db', 'retention', 'set', 'runs', '45d');
    expect(set).toMatchObject({ code: 0, out: expect.stringMatching(/runs\s+45d\s+90d/) });
    expect((await cli('db', 'retention', '--json')).out).toContain('"kind":"runs"');
    expect((await cli('db', 'retention', 'set', 'runs', 'soon')).code).not.toBe(0);
    const status = await cli('db', 'status', '--json');
    const told = JSON.parse(status.out) as {
      tables: readonly { table: string; partitions: number; bytes: number }[];
      retention: readonly RetentionReply[];
    };
    expect(told.tables.find(({ table }) => table === 'task_log')).toMatchObject({
      partitions: expect.any(Number),
    });
    expect(told.retention.find(({ kind }) => kind === 'incidents')?.last).toMatchObject({
      ...{ error: null, deletedEver: 1 },
    });
    expect((await cli('db', 'status')).out).toMatch(/TABLE\s+SIZE\s+ROWS/);
  });
});
