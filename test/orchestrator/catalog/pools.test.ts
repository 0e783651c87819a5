import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { workflowOf } from '../definitions.ts';
import { ACTOR, type Stand, startCatalog } from './stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startCatalog();
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

let sessions = 0;
async function addSession(state: string, pools: readonly object[]): Promise<void> {
  sessions += 1;
  await stand.db.execute(
    `INSERT INTO signalbox.agent_session (
       public_id, name, queues, concurrency, state, started_at, last_heartbeat_at, lease_expires_at, pools)
     VALUES (gen_random_uuid(), $1, '{reports}', 4, $2, now(), now(), now(), $3)`,
    [`agent-${sessions}`, state, JSON.stringify(pools)],
  );
}

async function addTask(task: number, state: number, queue: string, pool: string | null, slots = 1) {
  await stand.db.execute(
    `INSERT INTO signalbox.task_live (run_id, task, state, queue, priority, pool, pool_slots, ready_at)
     VALUES ('01990000-0000-7000-8000-000000000001', $1, $2, $3, 0, $4, $5, now())`,
    [task, state, queue, pool, slots],
  );
}

const orders = { name: 'orders', kind: 'postgres-client', server: 'db:5432/app', timeouts: 0 };

describe('pools', () => {
  test('an unknown name becomes a pool of task slots that shows what runs and what waits', async () => {
    await expect(stand.catalog.pools.get('slots')).rejects.toMatchObject({ code: 'not-found' });
    const made = await stand.catalog.pools.set('slots', { max: 8 }, ACTOR);
    expect(made).toMatchObject({ kind: 'task-slots', used: 0, waiting: 0, max: 8 });
    await addTask(1, 2, 'default', 'slots', 3);
    await addTask(2, 2, 'default', 'slots');
    await addTask(3, 1, 'default', 'slots');
    await addTask(4, 3, 'default', 'slots');
    expect(await stand.catalog.pools.get('slots')).toMatchObject({ used: 4, waiting: 1 });
    expect((await stand.catalog.pools.set('slots', { max: 0 }, ACTOR)).max).toBe(0);
    await expect(stand.catalog.pools.set('slots', { max: -1 }, ACTOR)).rejects.toMatchObject({
      code: 'invalid-request',
    });
  });

  test('a client pool is summed over live agents, and its ceiling is for each of them', async () => {
    await addSession('live', [{ ...orders, used: 3, idle: 1, waiting: 2, max: 5 }]);
    await addSession('live', [{ ...orders, used: 5, idle: 0, waiting: 9, max: 5 }]);
    await addSession('lost', [{ ...orders, used: 5, idle: 0, waiting: 9, max: 5 }]);
    expect(await stand.catalog.pools.get('orders')).toMatchObject({
      kind: 'postgres-client',
      used: 8,
      idle: 1,
      waiting: 11,
      max: 10,
    });
    const set = await stand.catalog.pools.set('orders', { max: 20 }, ACTOR);
    expect(set).toMatchObject({ kind: 'postgres-client', max: 40 });
    expect(await stand.catalog.pools.ceilings()).toEqual({ orders: 20 });
    expect(await stand.catalog.pools.clientPoolsOf('db:5432/app')).toEqual([
      { name: 'orders', max: 20, instances: 2 },
    ]);
    expect(await stand.catalog.pools.clientPoolsOf('elsewhere')).toEqual([]);
    await addSession('lost', [{ ...orders, name: 'away', used: 0, idle: 0, waiting: 0, max: 5 }]);
    const away = await stand.catalog.pools.set('away', { max: 7 }, ACTOR);
    expect(away).toMatchObject({ kind: 'postgres-client', used: 0, max: 7 });
    const names = (await stand.catalog.pools.list()).map((pool) => pool.name);
    expect(names).toEqual(['away', 'orders', 'slots']);
  });
});

describe('queues', () => {
  test('those that a definition, an agent or a task names are listed with their counts', async () => {
    await stand.catalog.workflows.register([workflowOf('w', { queue: 'nightly' })], []);
    await addTask(10, 1, 'busy', null);
    await addTask(11, 2, 'busy', null);
    const queues = new Map((await stand.catalog.queues.list()).map((queue) => [queue.name, queue]));
    expect([...queues.keys()]).toEqual(['busy', 'default', 'nightly', 'reports']);
    expect(queues.get('busy')).toMatchObject({
      name: 'busy',
      paused: false,
      concurrency: null,
      ready: 1,
      running: 1,
    });
  });

  test('setting one field leaves the other', async () => {
    const paused = await stand.catalog.queues.set('busy', { paused: true }, ACTOR);
    expect(paused).toMatchObject({ paused: true, concurrency: null });
    const limited = await stand.catalog.queues.set('busy', { concurrency: 4 }, ACTOR);
    expect(limited).toMatchObject({ paused: true, concurrency: 4 });
    const free = await stand.catalog.queues.set(
      'busy',
      { paused: false, concurrency: null },
      ACTOR,
    );
    expect(free).toMatchObject({ paused: false, concurrency: null });
    await expect(
      stand.catalog.queues.set('busy', { concurrency: -1 }, ACTOR),
    ).rejects.toMatchObject({ code: 'invalid-request' });
  });
});
