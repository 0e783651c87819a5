/** Partitioned assets with everything real: PostgreSQL, the orchestrator, an agent that runs users' code. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTerminalRun, type Run } from '../../../domain/run.ts';
import {
  type AssetContext,
  asset,
  byDimension,
  daily,
  dep,
  dynamicPartitions,
  externalAsset,
  monthly,
  multiPartitions,
  staticPartitions,
  timeWindow,
  workflow,
} from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { ACTOR } from '../catalog/stand.ts';

const DAY_MS = 86_400_000;
const dateText = (at: number) => new Date(at).toISOString().slice(0, 10);
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
/** So many whole days before today. */
const ago = (days: number) => dateText(today - days * DAY_MS);
const start = ago(10);

let agents: AgentStand;
const failing = new Set<string>();
const made: string[] = [];
let factor = 1;

const orders = asset('p/orders', { partitions: daily({ start }) }, (ctx) => {
  if (failing.has(ctx.partitionKey)) throw new Error('the source is down');
  made.push(ctx.partitionKey);
  ctx.record({ metadata: { from: ctx.partition.start, interval: ctx.dataInterval.end } });
  return { day: ctx.partitionKey, rows: Number(ctx.partitionKey.slice(-2)) * factor };
});
const doubled = asset(
  'p/doubled',
  { partitions: daily({ start }), dependsOn: { orders }, codeVersion: '1' },
  (_ctx, { orders: one }) => ({ rows: one.rows * 2 }),
);
const growth = asset(
  'p/growth',
  {
    partitions: daily({ start: ago(9) }),
    dependsOn: { orders, window: dep(doubled, timeWindow({ startOffset: -1, endOffset: 0 })) },
  },
  (_ctx, inputs) => Object.keys(inputs.window),
);
const total = asset('p/total', { dependsOn: { doubled } }, (_ctx, inputs) => {
  const all = Object.values(inputs.doubled as unknown as Record<string, { rows: number }>);
  return all.reduce((sum, { rows }) => sum + rows, 0);
});
const running = asset(
  'p/running',
  {
    partitions: daily({ start: ago(3) }),
    dependsOn: { before: dep('p/running', timeWindow({ offset: -1 })) },
  },
  (_ctx, { before }) => ((before as number | null) ?? 0) + 1,
);
const ranged = asset(
  'p/ranged',
  { partitions: daily({ start: ago(6) }), partitionRuns: 'range' },
  (ctx: AssetContext) => Object.fromEntries(ctx.partitionKeys.map((key) => [key, key.slice(-2)])),
);
const filled = asset('p/filled', { partitions: daily({ start }) }, (ctx) => ctx.partitionKey);
const shops = asset('p/shops', { partitions: dynamicPartitions('shops') }, async (ctx) => {
  if (ctx.partitionKey === 'first') await ctx.addPartitions('shops', ['second']);
  return ctx.partitionKey;
});
const regional = asset(
  'p/regional',
  {
    partitions: multiPartitions({
      day: daily({ start: ago(2) }),
      region: staticPartitions(['eu', 'us']),
    }),
  },
  (ctx) => ctx.partition.dimensions,
);
const loaded = externalAsset<{ rows: number }>('p/loaded', { partitions: daily({ start }) });
const after = asset(
  'p/after',
  { partitions: daily({ start }), dependsOn: { loaded } },
  (_ctx, inputs) => inputs.loaded.rows + 1,
);
const loading = workflow('p-loading', {}, (w) => {
  w.task('load', { produces: [loaded], consumes: [orders] }, () => ({ rows: 7 }));
});
const all = [
  orders,
  doubled,
  growth,
  total,
  running,
  ranged,
  shops,
  regional,
  loaded,
  after,
  loading,
  filled,
];

beforeAll(async () => {
  agents = await startAgentStand();
  await agents.start(all);
});
afterAll(async () => {
  await agents[Symbol.asyncDispose]();
});

const assets = () => agents.stand.orchestrator.assets;

async function make(
  key: string,
  partitions: Parameters<ReturnType<typeof assets>['materializePartitions']>[1]['partitions'],
  options: { downstream?: boolean; upstream?: boolean; idempotencyKey?: string } = {},
): Promise<readonly Run[]> {
  const reply = await assets().materializePartitions(key, { ...options, partitions }, ACTOR);
  const promoter = agents.stand.orchestrator.reconcilers.find(
    ({ name }) => name === 'run-promoter',
  );
  return Promise.all(
    reply.runs.map(({ id }) =>
      waitFor(async () => {
        await promoter?.run();
        const run = await agents.stand.orchestrator.runs.get(id);
        return isTerminalRun(run.state) ? run : undefined;
      }),
    ),
  );
}

async function states(key: string): Promise<Record<string, string>> {
  const { items } = await assets().partitions(key, { order: 'oldest' });
  return Object.fromEntries(items.map((item) => [item.key, item.state]));
}

describe('partitions that an agent makes', () => {
  test('a partition is made by itself, with its key and interval, and the others stay missing', async () => {
    const [run] = await make('p/orders', [ago(5)]);
    expect(run).toMatchObject({ state: 'succeeded', workflow: 'p/orders', trigger: 'asset' });
    expect(run?.dataInterval?.start).toBe(`${ago(5)}T00:00:00.000Z`);
    const { items } = await assets().partitions('p/orders', { from: ago(6), to: ago(5) });
    expect(items).toMatchObject([
      { key: ago(5), state: 'fresh', runId: run?.id, at: `${ago(4)}T00:00:00.000Z` },
      { key: ago(6), state: 'missing', runId: null },
    ]);
    const [version] = (await assets().materializations('p/orders', {})).items;
    expect(version).toMatchObject({
      partition: ago(5),
      metadata: { from: `${ago(5)}T00:00:00.000Z`, interval: `${ago(4)}T00:00:00.000Z` },
    });
  });

  test('an old partition turns nothing fresh; the newest one that should be there does', async () => {
    expect(await assets().get('p/orders')).toMatchObject({
      freshness: 'stale',
      partitions: { totals: { total: 10, materialized: 1, missing: 9 }, newestExpected: ago(1) },
    });
    const [cause] = (await assets().get('p/orders')).staleCauses ?? [];
    expect(cause).toMatchObject({ reason: 'partition-missing', partition: ago(1) });
    await make('p/orders', 'latest');
    expect((await assets().get('p/orders')).freshness).toBe('fresh');
    await make('p/orders', [ago(9)]);
    expect((await assets().get('p/orders')).freshness).toBe('fresh');
    expect((await assets().get('p/orders')).lastMaterialization?.partition).toBe(ago(1));
  });

  test('missing partitions are made in their order, one that fails is told, and made when it is asked for', async () => {
    failing.add(ago(3));
    made.length = 0;
    const runs = await make('p/orders', 'missing');
    expect(runs.map(({ state }) => state).sort()).toEqual(
      [...Array(6).fill('succeeded'), 'failed'].sort(),
    );
    expect(made).toHaveLength(6);
    const counts = await assets().partitionCounts('p/orders');
    expect(counts).toMatchObject({ total: 10, fresh: 9, failed: 1, missing: 0 });
    const { items } = await assets().partitions('p/orders', { state: 'failed' });
    expect(items).toMatchObject([{ key: ago(3), error: { message: 'the source is down' } }]);
    expect((await assets().get('p/orders')).freshness).toBe('fresh');
    failing.clear();
    await make('p/orders', 'failed');
    expect((await assets().partitionCounts('p/orders')).fresh).toBe(10);
  });

  test('an input is the partition of the same key, and of a window an object by key', async () => {
    await make('p/doubled', { from: ago(10) });
    await make('p/growth', [ago(9), ago(8)]);
    const { items } = await assets().materializations('p/growth', {});
    const results = await Promise.all(items.map(({ runId }) => agents.results(runId ?? '')));
    expect(results.map((result) => result['p/growth'])).toEqual(
      expect.arrayContaining([
        [ago(10), ago(9)],
        [ago(9), ago(8)],
      ]),
    );
    expect(items[0]?.inputs).toHaveLength(3);
  });

  test('an asset without partitions gets all of an upstream’s, and is stale when one is made anew', async () => {
    const run = await agents.ended((await assets().materialize(['p/total'], {}, ACTOR)).id);
    const days = Array.from({ length: 10 }, (_, index) => Number(ago(index + 1).slice(-2)));
    expect((await agents.results(run.id))['p/total']).toBe(days.reduce((a, b) => a + b * 2, 0));
    expect((await assets().get('p/total')).staleCauses).toEqual([]);
    // The same data made again changes nothing.
    await make('p/doubled', [ago(4)]);
    expect((await assets().get('p/total')).staleCauses).toEqual([]);
    factor = 3;
    await make('p/orders', [ago(4)]);
    factor = 1;
    expect(await states('p/doubled')).toMatchObject({ [ago(4)]: 'stale', [ago(5)]: 'fresh' });
    const { items } = await assets().partitions('p/doubled', { state: 'stale' });
    expect(items[0]?.causes).toMatchObject([
      { reason: 'upstream-changed', upstream: 'p/orders', partition: ago(4) },
    ]);
    await make('p/doubled', 'stale');
    expect((await assets().partitionCounts('p/doubled')).stale).toBe(0);
    expect((await assets().get('p/total')).staleCauses).toMatchObject([
      { reason: 'upstream-changed', upstream: 'p/doubled', partition: ago(4) },
    ]);
  });

  test('a new version of the code makes all partitions stale', async () => {
    const [definition] = [
      asset(
        'p/doubled',
        { partitions: daily({ start }), dependsOn: { orders }, codeVersion: '2' },
        () => 0,
      ),
    ];
    await agents.stand.orchestrator.workflows.register([{ ...definition.described, file: '' }], []);
    expect(await assets().partitionCounts('p/doubled')).toMatchObject({ stale: 10, fresh: 0 });
    expect((await assets().get('p/doubled')).staleCauses?.[0]).toMatchObject({
      reason: 'code-changed',
    });
    expect((await assets().get('p/total')).staleCauses?.map(({ reason }) => reason)).toEqual([
      'upstream-changed',
    ]);
    await agents.stand.orchestrator.workflows.register([{ ...doubled.described, file: '' }], []);
  });

  test('an asset that goes on from its own partition before fails where that is missing', async () => {
    const [alone] = await make('p/running', [ago(2)]);
    expect(alone?.state).toBe('failed');
    expect(alone?.error?.message).toContain(`the partition ${ago(3)} of p/running`);
    // One after the other, in their order.
    await make('p/running', { from: ago(3) });
    const { items } = await assets().materializations('p/running', {});
    expect((await agents.results(items[0]?.runId ?? ''))['p/running']).toBe(3);
  });

  test('code that handles a range makes many partitions in one run', async () => {
    const runs = await make('p/ranged', 'missing');
    expect(runs).toHaveLength(1);
    expect(await assets().partitionCounts('p/ranged')).toMatchObject({ fresh: 6, missing: 0 });
    const { items } = await assets().materializations('p/ranged', {});
    expect(new Set(items.map(({ runId }) => runId)).size).toBe(1);
    expect(items.map(({ partition }) => partition).sort()).toEqual([6, 5, 4, 3, 2, 1].map(ago));
  });

  test('keys of a list that grows are added by people and by tasks', async () => {
    await expect(make('p/shops', ['first'])).rejects.toMatchObject({ code: 'invalid-request' });
    await assets().changeDynamicPartitions('shops', { add: ['first'] }, ACTOR);
    await make('p/shops', 'missing');
    expect(await assets().dynamicPartitions('shops')).toEqual(['first', 'second']);
    expect(await states('p/shops')).toEqual({ first: 'fresh', second: 'missing' });
    expect((await assets().get('p/shops')).freshness).toBe('stale');
    await assets().changeDynamicPartitions('shops', { remove: ['second'] }, ACTOR);
    expect((await assets().get('p/shops')).freshness).toBe('fresh');
    expect(await states('p/shops')).toEqual({ first: 'fresh' });
  });

  test('of two dimensions an asset is as new as the newest time of which every key is there', async () => {
    await make('p/regional', [`${ago(1)}|eu`]);
    expect((await assets().get('p/regional')).freshness).toBe('stale');
    await make('p/regional', [`${ago(1)}|us`]);
    expect(await assets().get('p/regional')).toMatchObject({
      freshness: 'fresh',
      partitions: { totals: { total: 4, materialized: 2 } },
    });
    const { items } = await assets().partitions('p/regional', { state: 'fresh' });
    expect(items[0]?.dimensions).toEqual({ day: ago(1), region: 'us' });
  });

  test('a task of a workflow makes an asset, and what lies below reads it', async () => {
    const [run] = await make('p/loaded', [ago(2)]);
    expect(run).toMatchObject({ workflow: 'p-loading', state: 'succeeded' });
    await make('p/after', [ago(2)]);
    const { items } = await assets().materializations('p/after', {});
    expect((await agents.results(items[0]?.runId ?? ''))['p/after']).toBe(8);
    expect(await assets().get('p/loaded')).toMatchObject({
      dependsOn: ['p/orders'],
      producedBy: [{ workflow: 'p-loading', task: 'load' }],
    });
    const lineage = await assets().lineage('p/orders', 2);
    expect(lineage.edges).toContainEqual({ from: 'p/orders', to: 'p/loaded' });
    expect(lineage.tasks).toContainEqual({
      ...{ workflow: 'p-loading', task: 'load', asset: 'p/orders', role: 'consumes' },
    });
  });

  test('with what lies below, the mapped partitions of each are made in one run', async () => {
    const [run] = await make('p/orders', [ago(9)], { downstream: true });
    expect(run?.workflow).toBe('asset-partitions');
    expect(run?.state).toBe('succeeded');
    const tasks = await agents.stand.orchestrator.runs.tasks(run?.id ?? '');
    expect(tasks.map(({ key }) => key)).toEqual(
      expect.arrayContaining(['p/orders', 'p/doubled', 'p/growth', 'p/total']),
    );
  });

  test('with what lies above, it is made first', async () => {
    const [run] = await make('p/doubled', [ago(7)], { upstream: true });
    const tasks = await agents.stand.orchestrator.runs.tasks(run?.id ?? '');
    expect(tasks.map(({ key, state }) => [key, state])).toEqual([
      ['p/orders', 'succeeded'],
      ['p/doubled', 'succeeded'],
    ]);
  });

  test('the same key gives the same runs, and impact tells what is made from a partition', async () => {
    const request = { partitions: [ago(2), ago(1)], idempotencyKey: 'twice' };
    const first = await assets().materializePartitions('p/orders', request, ACTOR);
    const again = await assets().materializePartitions('p/orders', request, ACTOR);
    expect(again.runs.map(({ id }) => id)).toEqual(first.runs.map(({ id }) => id));
    const impact = await assets().impact('p/orders', ago(5));
    expect(impact.assets).toContainEqual(
      expect.objectContaining({ key: 'p/growth', partitions: 2, firstPartition: ago(5) }),
    );
    expect(impact.workflows).toContainEqual(expect.objectContaining({ workflow: 'p-loading' }));
  });

  test('a schedule makes the partition that is complete at the end of its interval', async () => {
    const scheduled = asset(
      'p/scheduled',
      { partitions: daily({ start }), schedule: '* * * * * *' },
      (ctx) => ctx.partitionKey,
    );
    const second = await agents.start([scheduled], { name: 'second' });
    const scheduler = agents.stand.orchestrator.reconcilers.find(
      ({ name }) => name === 'scheduler',
    );
    await waitFor(async () => {
      await scheduler?.run();
      return (await assets().get('p/scheduled')).freshness === 'fresh';
    });
    expect(await states('p/scheduled')).toMatchObject({ [ago(1)]: 'fresh', [ago(2)]: 'missing' });
    await agents.stand.orchestrator.workflows.setPaused('p/scheduled', true, ACTOR);
    await second.stop();
  });
});

test('a backfill of a partitioned asset makes the partition of each interval', async () => {
  const { orchestrator } = agents.stand;
  const request = { from: ago(5), to: ago(4), rerun: 'all' as const };
  const { backfill } = await orchestrator.backfills.start('p/filled', request, ACTOR);
  const step = orchestrator.reconcilers.find(({ name }) => name === 'backfills');
  await waitFor(async () => {
    await step?.run();
    return (await orchestrator.backfills.get(backfill.id)).state === 'succeeded';
  });
  expect(await states('p/filled')).toMatchObject({
    ...{ [ago(6)]: 'missing', [ago(5)]: 'fresh', [ago(4)]: 'fresh', [ago(3)]: 'missing' },
  });
});

test('what cannot be is refused in words', async () => {
  await expect(make('p/total', 'all')).rejects.toMatchObject({ code: 'conflict' });
  await expect(make('p/orders', ['2001-01-01'])).rejects.toMatchObject({
    message: expect.stringContaining('they go from'),
  });
  await expect(make('p/none', 'all')).rejects.toMatchObject({ code: 'not-found' });
  expect(() => asset('p/self', { dependsOn: ['p/self'] }, () => 1)).toThrow(/depends on itself/);
  expect(() => monthly({ start: 'yesterday' })).toThrow(/date such as/);
  const uses = (mapping: Parameters<typeof dep>[1]) => () =>
    asset(
      'p/uses',
      { dependsOn: { one: dep(shops, mapping) }, partitions: daily({ start }) },
      () => 1,
    );
  expect(uses(timeWindow())).toThrow(/between partitions of time/);
  expect(uses(byDimension('region'))).toThrow(/neither side has a dimension "region"/);
});
