/** What is recorded of partitions, whoever records it and in whatever order. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AssetTaskEnd } from '../../../orchestrator/assets/outcome.ts';
import { daily, hourly, multiPartitions, staticPartitions } from '../../../orchestrator/index.ts';
import { assetOf, endOf, type Stand, startCatalog } from '../catalog/stand.ts';

const DAY_MS = 86_400_000;
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const ago = (days: number) => new Date(today - days * DAY_MS).toISOString().slice(0, 10);
const days = daily({ start: ago(10) });
const regions = staticPartitions(['eu', 'us']);

let stand: Stand;
let other: Stand['other'];

beforeAll(async () => {
  stand = await startCatalog();
  other = stand.other;
  await stand.catalog.workflows.register(
    [
      assetOf('r/days', { partitions: days, fallback: 'last-good' }),
      assetOf('r/hours', { partitions: hourly({ start: ago(1) }) }),
      assetOf('r/regions', { partitions: regions }),
      assetOf('r/both', { partitions: multiPartitions({ region: regions, day: days }) }),
      assetOf('r/limited', { partitions: days, warnAfterMs: DAY_MS / 2, failAfterMs: 2 * DAY_MS }),
      assetOf('r/below', { partitions: days, dependsOn: ['r/days'] }),
      assetOf('r/sums', { partitions: days }),
    ],
    [],
  );
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

const end = (key: string, partition: string | null, more: Partial<AssetTaskEnd> = {}) =>
  endOf(key, Date.now(), { ...(partition === null ? {} : { partitions: [partition] }), ...more });
const freshness = async (key: string) => (await stand.catalog.assets.get(key)).freshness;
const outcome = (eventTime: string) => ({ metadata: {}, checks: [], eventTime });

describe('freshness of partitioned assets', () => {
  test('is unknown where nothing was made, and stale while the newest expected partition is missing', async () => {
    expect(await freshness('r/days')).toBe('unknown');
    await stand.endAssets(end('r/days', ago(2)));
    expect(await freshness('r/days')).toBe('stale');
    await stand.endAssets(end('r/days', ago(1)));
    expect(await freshness('r/days')).toBe('fresh');
  });

  test('an old partition is never newer than its end, whatever its code says', async () => {
    const now = new Date().toISOString();
    await stand.endAssets(end('r/limited', ago(8), { outcome: outcome(now) }));
    expect(await freshness('r/limited')).toBe('stale');
    const { items } = await stand.catalog.assets.materializations('r/limited', {});
    expect(items[0]?.at).toBe(`${ago(7)}T00:00:00.000Z`);
    await stand.endAssets(end('r/limited', ago(2)));
    expect(await freshness('r/limited')).toBe('warning');
  });

  test('of a list needs all of its keys, of two dimensions all keys of one time', async () => {
    await stand.endAssets(end('r/regions', 'eu'));
    expect(await freshness('r/regions')).toBe('stale');
    await stand.endAssets(end('r/regions', 'us'));
    expect(await freshness('r/regions')).toBe('fresh');
    await stand.endAssets(end('r/both', `eu|${ago(1)}`), end('r/both', `us|${ago(3)}`));
    expect(await freshness('r/both')).toBe('stale');
    await stand.endAssets(end('r/both', `us|${ago(1)}`));
    expect(await freshness('r/both')).toBe('fresh');
  });

  test('a run of a data interval, and one that says nothing, are of the partition complete by then', async () => {
    const interval = { start: today - 4 * DAY_MS + 7_200_000, end: today - 3 * DAY_MS + 7_200_000 };
    await stand.endAssets(end('r/below', null, { dataInterval: interval }));
    const { items } = await stand.catalog.assets.partitions('r/below', { state: 'fresh' });
    expect(items.map(({ key }) => key)).toEqual([ago(4)]);
    await stand.endAssets(end('r/below', null));
    expect(await freshness('r/below')).toBe('fresh');
  });
});

test('a failure of an old partition is its own; one of the newest is the asset’s as well', async () => {
  const failed = { state: 'failed' as const, error: { name: 'Error', message: 'no disk' } };
  const failing = async () => {
    const sql = `SELECT last_failed_at IS NOT NULL AS failing FROM signalbox.asset WHERE key = 'r/days'`;
    return (await stand.db.query<{ failing: boolean }>(sql))[0]?.failing;
  };
  await stand.endAssets(end('r/days', ago(6), failed));
  expect(await failing()).toBe(false);
  const { items } = await stand.catalog.assets.partitions('r/days', { state: 'failed' });
  expect(items).toMatchObject([{ key: ago(6), error: failed.error, materializationId: null }]);
  await stand.endAssets(end('r/days', ago(1), failed));
  expect(await failing()).toBe(true);
  const newest = (await stand.catalog.assets.partitions('r/days', { limit: 1 })).items[0];
  expect(newest).toMatchObject({ state: 'failed', materializationId: expect.any(String) });
  await stand.endAssets(end('r/days', ago(1)), end('r/days', ago(6)));
  expect(await failing()).toBe(false);
  expect(await stand.catalog.assets.partitionCounts('r/days')).toMatchObject({ failed: 0 });
});

test('while a fallback is served it stands for a missing partition, degraded, until the real one is there', async () => {
  await stand.endAssets(
    end('r/days', ago(3), { result: 'old' }),
    end('r/days', ago(1), { result: 'good' }),
  );
  const failed = { state: 'failed' as const, error: { name: 'Error', message: 'down' } };
  await stand.endAssets(end('r/days', ago(1), failed));
  const served = await stand.catalog.levers.assets.serveFallback('r/days', 'down', 'f1');
  expect(served.outcome).toBe('done');
  expect(await freshness('r/days')).toBe('degraded');
  const [missing, there] = await Promise.all(
    [ago(9), ago(3)].map((key) => stand.catalog.assetInput('r/days', 'r/below', [key])),
  );
  expect(missing).toMatchObject({
    missing: [],
    values: [{ value: 'good', degraded: true, partition: ago(9) }],
  });
  expect(there).toMatchObject({ values: [{ value: 'old', degraded: false }] });
  const input = {
    assetKey: 'r/days',
    partition: ago(9),
    id: missing?.values[0]?.id ?? '',
    dataVersion: 'x',
    degraded: true,
  };
  await stand.endAssets(
    end('r/below', ago(9), { outcome: { metadata: {}, checks: [], inputs: [input] } }),
  );
  const { items } = await stand.catalog.assets.partitions('r/below', { from: ago(9), to: ago(9) });
  expect(items[0]?.state).toBe('degraded');
  await stand.endAssets(end('r/days', ago(1), { result: 'real' }));
  expect(await freshness('r/days')).toBe('fresh');
  const after = await stand.catalog.assetInput('r/days', 'r/below', [ago(9)]);
  expect(after).toMatchObject({ missing: [ago(9)], values: [] });
});

test('keys that are taken out of a definition count for nothing, and again when they come back', async () => {
  const register = (keys: readonly string[]) =>
    stand.catalog.workflows.register(
      [assetOf('r/list', { partitions: staticPartitions(keys) })],
      [],
    );
  const totals = async () => (await stand.catalog.assets.get('r/list')).partitions?.totals;
  await register(['a', 'b']);
  await stand.endAssets(end('r/list', 'a'), end('r/list', 'b'));
  expect([await freshness('r/list'), await totals()]).toEqual([
    'fresh',
    { total: 2, materialized: 2, failed: 0, missing: 0 },
  ]);
  await register(['c', 'd']);
  expect([await freshness('r/list'), (await totals())?.missing]).toEqual(['stale', 2]);
  await stand.endAssets(end('r/list', 'c'));
  expect((await totals())?.missing).toBe(1);
  await register(['b', 'c']);
  expect([await freshness('r/list'), (await totals())?.missing]).toEqual(['fresh', 0]);
  const { items } = await stand.catalog.assets.materializations('r/list', { partition: 'c' });
  expect(items.map(({ partition }) => partition)).toEqual(['c']);
});

test('values of partitions stay readable while versions of assets are thinned out', async () => {
  const retention = stand.catalog.reconcilers.find(({ name }) => name === 'asset-values');
  await stand.db.execute(`UPDATE signalbox.materialization SET id = id`);
  await retention?.run();
  expect(await stand.catalog.assetInput('r/days', 'r/below', [ago(3)])).toMatchObject({
    values: [{ value: 'old' }],
  });
});

test('sums are right whatever two servers record at once, twice, or of one partition', async () => {
  const step = fc.record({
    day: fc.integer({ min: 1, max: 10 }),
    fails: fc.boolean(),
    here: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const of = (here: boolean) =>
        steps
          .filter((one) => one.here === here)
          .map(({ day, fails }) =>
            end('r/sums', ago(day), fails ? { state: 'failed', error: null } : { result: day }),
          );
      await Promise.all([
        stand.hot.transaction((tx) => stand.catalog.recordAssetOutcomes(tx, of(true))),
        stand.hot.transaction((tx) => other.recordAssetOutcomes(tx, of(false))),
      ]);
      const [row] = await stand.db.query<Record<string, number>>(
        `SELECT a.partitions_made AS made, a.partitions_failed AS failed,
           (SELECT count(*)::int FROM signalbox.asset_partition p
            WHERE p.asset_key = a.key AND p.version_id IS NOT NULL) AS is_made,
           (SELECT count(*)::int FROM signalbox.asset_partition p
            WHERE p.asset_key = a.key AND p.failed_at IS NOT NULL) AS is_failed
         FROM signalbox.asset a WHERE a.key = 'r/sums'`,
      );
      expect([row?.['made'], row?.['failed']]).toEqual([row?.['is_made'], row?.['is_failed']]);
    }),
    { numRuns: 25 },
  );
});
