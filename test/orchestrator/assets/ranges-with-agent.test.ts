/** A run that makes several partitions: published together where the IO manager can, else recorded one by one. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { asset, postgresTable, rowCount, staticPartitions } from '../../../orchestrator/index.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
const regions = staticPartitions(['eu', 'us', 'za']);
let stand: AgentStand;
let warehouse: TestPostgres;
/** Rows of the next run by region. */
let rows: Record<string, number> = {};
let breaksAt: string | null = null;
let attempts = 0;
const kept = new Map<string, unknown>();

beforeAll(async () => {
  warehouse = await startTestPostgres();
  stand = await startAgentStand();
  const options = { partitions: regions, partitionRuns: 'range' as const };
  const checks = [rowCount({ min: 1, blocking: true })];
  const made = (keys: readonly string[]) =>
    Object.fromEntries(
      keys.map((key) => [key, Array.from({ length: rows[key] ?? 0 }, (_, id) => ({ id, key }))]),
    );
  const together = asset(
    'range/together',
    {
      ...options,
      checks,
      io: postgresTable({
        ...{ connection: warehouse.url, table: 'together' },
        columns: { id: 'integer', key: 'text' },
      }),
    },
    (ctx) => made(ctx.partitionKeys),
  );
  const apart = asset(
    'range/apart',
    {
      ...{ ...options, checks, retries: 1, retryDelay: 1 },
      io: {
        kind: 'drawer',
        write({ partitionKey }, value) {
          if (partitionKey === breaksAt) throw new Error('the drawer is stuck');
          kept.set(partitionKey ?? '', value);
          return { location: { drawer: partitionKey } };
        },
        read: ({ partitionKey }) => kept.get(partitionKey ?? ''),
      },
    },
    (ctx) => {
      attempts += 1;
      if (attempts === 2 && breaksAt !== null) throw new Error('no source any more');
      return made(ctx.partitionKeys);
    },
  );
  await stand.start([together, apart]);
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
  await warehouse.stop();
});
beforeEach(() => {
  rows = { eu: 1, us: 1, za: 1 };
  breaksAt = null;
  attempts = 0;
});

async function make(key: string) {
  const { assets } = stand.stand.orchestrator;
  const { runs } = await assets.materializePartitions(key, { partitions: 'all' }, ACTOR);
  const [run] = runs;
  if (run === undefined || runs.length > 1) throw new Error(`${runs.length} runs`);
  return stand.ended(run.id);
}

async function table(): Promise<unknown> {
  const client = new pg.Client({ connectionString: warehouse.url });
  await client.connect();
  const found = await client.query<{ key: string; rows: number }>(
    'SELECT partition_key AS key, count(*)::int AS rows FROM together GROUP BY 1 ORDER BY 1',
  );
  await client.end();
  return Object.fromEntries(found.rows.map((row) => [row.key, row.rows]));
}

async function states(key: string): Promise<unknown> {
  const { items } = await stand.stand.orchestrator.assets.partitions(key, { order: 'oldest' });
  return Object.fromEntries(items.map((one) => [one.key, [one.state, one.runId]]));
}

it('a blocking check on one partition of a range refuses all of it, and says which one', async () => {
  const first = await make('range/together');
  expect(first.state).toBe('succeeded');
  rows = { eu: 5, us: 0, za: 5 };
  const second = await make('range/together');
  expect(second).toMatchObject({ state: 'failed', error: { message: /"partition":"us"/ } });
  expect(await table()).toEqual({ eu: 1, us: 1, za: 1 });
  expect(await states('range/together')).toEqual({
    eu: ['failed', second.id],
    us: ['failed', second.id],
    za: ['failed', second.id],
  });
  rows = { eu: 5, us: 6, za: 7 };
  const third = await make('range/together');
  expect(await table()).toEqual({ eu: 5, us: 6, za: 7 });
  expect(await states('range/together')).toEqual({
    eu: ['fresh', third.id],
    us: ['fresh', third.id],
    za: ['fresh', third.id],
  });
});

it('an IO manager that only writes has exactly those partitions recorded that it had published', async () => {
  rows = { eu: 2, us: 0, za: 2 };
  const refused = await make('range/apart');
  expect(refused.state).toBe('failed');
  expect(await states('range/apart')).toEqual({
    eu: ['fresh', refused.id],
    us: ['failed', refused.id],
    za: ['failed', refused.id],
  });
  expect(kept.get('eu')).toHaveLength(2);
  expect(kept.has('za')).toBe(false);
});

it('what an attempt published is recorded also where the next attempt makes nothing', async () => {
  rows = { eu: 3, us: 3, za: 3 };
  breaksAt = 'za';
  const broken = await make('range/apart');
  expect(broken).toMatchObject({ state: 'failed', error: { message: /no source any more/ } });
  expect(attempts).toBe(2);
  const { items } = await stand.stand.orchestrator.assets.materializations('range/apart', {});
  const ofRun = items.filter(({ runId }) => runId === broken.id);
  expect(ofRun.map(({ partition, stored }) => [partition, stored?.location]).sort()).toEqual([
    ['eu', { drawer: 'eu' }],
    ['us', { drawer: 'us' }],
  ]);
  expect(kept.get('us')).toHaveLength(3);
});
