/** Ended runs leave after their time, whole trees at once; the ranges of their logs are dropped with them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { firstIdAt } from '../../../orchestrator/retention/id-range.ts';
import { type Stand, startStand } from '../dispatch/stand.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
const clock = manualClock(NOW);
const ACTOR = { name: 'token:test' };

let stand: Stand;
let serial = 0;
beforeEach(async () => {
  stand = await startStand({ clock });
});
afterEach(() => stand[Symbol.asyncDispose]());

/** An id of a moment some days ago. */
function idOf(daysAgo: number): string {
  serial += 1;
  return firstIdAt(NOW - daysAgo * DAY_MS).slice(0, 24) + String(serial).padStart(12, '0');
}

interface Made {
  readonly daysAgo?: number;
  readonly state?: string;
  readonly parent?: string;
  readonly workflow?: string;
  readonly logicalDaysAgo?: number;
}

/** A run with an attempt, a step, its origin and an action. */
async function makeRun(of: Made = {}): Promise<string> {
  const { daysAgo = 100, state = 'succeeded', parent = null, workflow = 'orders' } = of;
  const id = idOf(daysAgo);
  const at = new Date(NOW - daysAgo * DAY_MS);
  const logical =
    of.logicalDaysAgo === undefined ? null : new Date(NOW - of.logicalDaysAgo * DAY_MS);
  await stand.sql(
    `INSERT INTO signalbox.run (id, workflow, state, business_key, created_at, finished_at, parent_run_id,
       trigger, logical_date)
     VALUES ($1::uuid, $2, $3, 'key', $4::timestamptz, CASE WHEN $3::text = 'active' THEN NULL ELSE $4 END, $5, $6, $7)`,
    [id, workflow, state, at, parent, logical === null ? 'manual' : 'schedule', logical],
  );
  await stand.sql(
    `INSERT INTO signalbox.task_log (run_id, task, attempt, state, finished_at, result)
     VALUES ($1, 0, 1, 2, $2, '{}')`,
    [id, at],
  );
  await stand.sql(
    `INSERT INTO signalbox.step_log (run_id, key, state, started_at, finished_at)
     VALUES ($1, 'a', 'succeeded', $2, $2)`,
    [id, at],
  );
  await stand.sql(`INSERT INTO signalbox.run_origin (run_id, origin) VALUES ($1, '{}')`, [id]);
  await stand.sql(
    `INSERT INTO signalbox.run_action (run_id, at, actor, action) VALUES ($1, $2, 'me', 'mark')`,
    [id, at],
  );
  return id;
}

const runs = async () =>
  (await stand.sql<{ id: string }>('SELECT id FROM signalbox.run ORDER BY id')).map(({ id }) => id);
const rowsOf = async (table: string) =>
  (await stand.sql<{ n: number }>(`SELECT count(*)::int AS n FROM signalbox.${table}`))[0]?.n;

describe('retention of runs', () => {
  it('deletes ended runs with all that is of them, and keeps what is young or runs', async () => {
    await makeRun({ daysAgo: 300 });
    await makeRun({ daysAgo: 91, state: 'failed' });
    const active = await makeRun({ daysAgo: 200, state: 'active' });
    const young = await makeRun({ daysAgo: 89 });
    await stand.reconcile('retention');
    expect(await runs()).toEqual([active, young]);
    expect(await rowsOf('run_origin')).toBe(2);
    expect(await rowsOf('run_action')).toBe(2);
    const policies = await stand.orchestrator.retention.list();
    expect(policies.find(({ kind }) => kind === 'runs')?.last).toMatchObject({
      ...{ deleted: 2, deletedEver: 2, error: null },
    });
  });

  it('keeps a whole tree while one run of it is young or runs', async () => {
    const root = await makeRun({ daysAgo: 200 });
    const child = await makeRun({ daysAgo: 200, parent: root, workflow: 'child' });
    const grandchild = await makeRun({
      ...{ daysAgo: 200, parent: child, workflow: 'child', state: 'active' },
    });
    const newest = [
      await makeRun({ daysAgo: 1 }),
      await makeRun({ daysAgo: 1, workflow: 'child' }),
    ];
    await stand.reconcile('retention');
    expect(await runs()).toEqual([root, child, grandchild, ...newest]);
    await stand.sql(
      `UPDATE signalbox.run SET state = 'succeeded', finished_at = created_at WHERE id = $1`,
      [grandchild],
    );
    await stand.reconcile('retention');
    expect(await runs()).toEqual(newest);
  });

  it('keeps the newest run of a workflow, and its newest scheduled one', async () => {
    await makeRun({ daysAgo: 400, logicalDaysAgo: 401 });
    const scheduled = await makeRun({ daysAgo: 300, logicalDaysAgo: 301 });
    const newest = await makeRun({ daysAgo: 200 });
    await stand.reconcile('retention');
    expect(await runs()).toEqual([scheduled, newest]);
  });

  it('keeps runs for as long as is set, and for ever', async () => {
    const old = await makeRun({ daysAgo: 5_000 });
    const young = await makeRun({ daysAgo: 10 });
    const newest = await makeRun({ daysAgo: 1 });
    const { retention } = stand.orchestrator;
    await retention.set({ runs: null }, ACTOR);
    await stand.reconcile('retention');
    expect(await runs()).toEqual([old, young, newest]);
    const set = await retention.set({ runs: 5 * DAY_MS }, ACTOR);
    expect(set.find(({ kind }) => kind === 'runs')).toMatchObject({
      ...{ keepMs: 5 * DAY_MS, setBy: 'token:test' },
    });
    await stand.reconcile('retention');
    expect(await runs()).toEqual([newest]);
    await expect(retention.set({ runs: 1 }, ACTOR)).rejects.toThrow('at least 1d');
    await expect(retention.set({ rums: DAY_MS }, ACTOR)).rejects.toThrow('there is no kind rums');
  });

  it('goes on in the middle of a walk, and two servers at once delete each run once', async () => {
    for (let made = 0; made < 40; made += 1) await makeRun();
    const newest = await makeRun({ daysAgo: 1 });
    const [third] = (await runs()).slice(2);
    await stand.sql(
      `INSERT INTO signalbox.retention_round (kind, cursor, at) VALUES ('runs', $1, now())`,
      [third],
    );
    const other = await stand.another();
    const step = other.reconcilers.find(({ name }) => name === 'retention');
    await Promise.all([stand.reconcile('retention'), step?.run()]);
    expect(await runs()).toHaveLength(4);
    // The walk begins anew behind its end.
    await stand.reconcile('retention');
    expect(await runs()).toEqual([newest]);
    const [round] = await stand.sql<{ deleted_ever: string }>(
      `SELECT deleted_ever FROM signalbox.retention_round WHERE kind = 'runs'`,
    );
    expect(round?.deleted_ever).toBe('40');
  });
});

describe('ranges of logs', () => {
  const ranges = async () =>
    stand.sql<{ table: string; bound: string }>(
      `SELECT inhrelid::regclass::text AS "table", pg_get_expr(c.relpartbound, c.oid) AS bound
       FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
       WHERE inhparent = 'signalbox.task_log'::regclass ORDER BY c.oid`,
    );

  it('are made ahead, once, whoever makes them', async () => {
    const other = await stand.another();
    const step = other.reconcilers.find(({ name }) => name === 'log-partitions');
    clock.advance(40 * DAY_MS);
    await Promise.all([stand.reconcile('log-partitions'), step?.run()]);
    await stand.reconcile('log-partitions');
    clock.advance(-40 * DAY_MS);
    const made = await ranges();
    expect(made.length).toBeGreaterThan(6);
    const later = firstIdAt(NOW + 50 * DAY_MS);
    await stand.sql(
      `INSERT INTO signalbox.task_log (run_id, task, attempt, state, finished_at) VALUES ($1, 0, 1, 2, now())`,
      [later],
    );
    expect(await rowsOf('task_log_other')).toBe(0);
  });

  it('are made and dropped by several servers at once, of which none fails', async () => {
    const others = await Promise.all(Array.from({ length: 3 }, () => stand.another()));
    const all = [stand.orchestrator, ...others].flatMap(({ reconcilers }) => reconcilers);
    const byAll = (name: string) =>
      Promise.all(all.filter((one) => one.name === name).map((one) => one.run()));
    const isLeft = async (table: string) => (await ranges()).some((range) => range.table === table);
    for (let round = 1; round <= 5; round += 1) {
      const before = (await ranges()).length;
      clock.advance(56 * DAY_MS);
      await byAll('log-partitions');
      await stand.reconcile('log-partitions');
      expect((await ranges()).length).toBeGreaterThanOrEqual(before + 8);
    }
    const first = (await ranges())[0]?.table ?? '';
    expect(await isLeft(first)).toBe(true);
    await byAll('retention');
    await stand.reconcile('retention');
    clock.advance(-280 * DAY_MS);
    expect(await isLeft(first)).toBe(false);
  });

  it('take every id: what no range has goes to the default partition, and nothing has to be moved for a new one', async () => {
    const far = firstIdAt(NOW + 16 * DAY_MS);
    await stand.sql(
      `INSERT INTO signalbox.task_log (run_id, task, attempt, state, finished_at) VALUES ($1, 0, 1, 2, now())`,
      [far],
    );
    expect(await rowsOf('task_log_other')).toBe(1);
    clock.advance(10 * DAY_MS);
    await stand.reconcile('log-partitions');
    clock.advance(-10 * DAY_MS);
    expect(await rowsOf('task_log_other')).toBe(1);
    expect((await ranges()).length).toBeGreaterThan(2);
  });

  it('are dropped as a whole once no run of them is there', async () => {
    const running = await makeRun({ daysAgo: 100, state: 'active' });
    await makeRun({ daysAgo: 100 });
    const ahead = 200 * DAY_MS;
    clock.advance(ahead);
    await stand.reconcile('log-partitions');
    await makeRun({ daysAgo: -199 });
    await stand.reconcile('retention');
    expect(await runs()).toHaveLength(2);
    expect((await ranges())[0]?.table).toContain('task_log_first');
    await stand.sql(
      `UPDATE signalbox.run SET state = 'succeeded', finished_at = created_at WHERE id = $1`,
      [running],
    );
    await stand.reconcile('retention');
    clock.advance(-ahead);
    expect((await ranges()).some(({ table }) => table.includes('first'))).toBe(false);
    expect(await rowsOf('task_log')).toBe(1);
    expect(await rowsOf('step_log')).toBe(1);
  });

  it('are found by run id alone with generic plans', async () => {
    clock.advance(60 * DAY_MS);
    await stand.reconcile('log-partitions');
    clock.advance(-60 * DAY_MS);
    await stand.sql('SET plan_cache_mode = force_generic_plan');
    const rows = await stand.sql<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
       SELECT l.state FROM unnest(ARRAY['${firstIdAt(NOW)}']::uuid[]) AS e (run_id)
       CROSS JOIN LATERAL (SELECT state FROM signalbox.task_log l WHERE l.run_id = e.run_id) l`,
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).not.toMatch(/Seq Scan on task_log.*(?!never executed)loops=1/);
    expect(plan.match(/never executed/g)?.length).toBeGreaterThan(4);
  });
});

describe('steps of other parts', () => {
  it('keep what they delete for as long as is set, and tell what they did', async () => {
    await stand.sql(
      `INSERT INTO signalbox.sensor_event (sensor, key, at, state)
       SELECT 's', d::text, now() - d * interval '1 day', 'done' FROM unnest(ARRAY[1, 8, 40]) AS d`,
    );
    await stand.sql(
      `INSERT INTO signalbox.flow_event (name, at, sent_by)
       SELECT 'e', now() - d * interval '1 day', 'me' FROM unnest(ARRAY[1, 8, 40]) AS d`,
    );
    await stand.sql(
      `INSERT INTO signalbox.agent_session (public_id, name, queues, concurrency, state, started_at,
         last_heartbeat_at, lease_expires_at, ended_at)
       SELECT gen_random_uuid(), 'a', '{}', 1, 'stopped', now(), now(), now(), now() - d * interval '1 day'
       FROM unnest(ARRAY[1, 8, 40]) AS d`,
    );
    const { retention } = stand.orchestrator;
    await retention.set({ 'sensor-events': 30 * DAY_MS, 'flow-events': null }, ACTOR);
    for (const name of ['sensor-event', 'flow-event', 'session', 'expected-run']) {
      await stand.reconcile(`${name}-retention`);
    }
    expect(await rowsOf('sensor_event')).toBe(2);
    expect(await rowsOf('flow_event')).toBe(3);
    expect(await rowsOf('agent_session')).toBe(1);
    const last = new Map((await retention.list()).map((one) => [one.kind, one.last]));
    expect(last.get('sensor-events')).toMatchObject({ deleted: 1, error: null });
    expect(last.get('agent-sessions')).toMatchObject({ deleted: 2 });
    expect(last.get('expected-runs')).toMatchObject({ deleted: 0 });
  });
});
