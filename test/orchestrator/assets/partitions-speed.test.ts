/** Two thousand assets with fifty partitions each: lists and judgements stay answers, not reports. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { daily } from '../../../orchestrator/index.ts';
import { assetOf, endOf, type Stand, startCatalog } from '../catalog/stand.ts';

const ASSETS = 2_000;
const DAYS = 50;
const DAY_MS = 86_400_000;
const partitions = daily({
  start: new Date(Date.now() - DAYS * DAY_MS).toISOString().slice(0, 10),
});

let stand: Stand;

beforeAll(async () => {
  stand = await startCatalog();
  const definitions = Array.from({ length: ASSETS }, (_, index) =>
    assetOf(`fast/${index}`, {
      ...{ partitions, codeVersion: '1', failAfterMs: 3 * DAY_MS },
      dependsOn: index < 10 ? [] : [`fast/${index - 10}`],
    }),
  );
  await stand.catalog.workflows.register(definitions, []);
  // As recording leaves it: half of all partitions, each made from the same day of the upstream.
  await stand.db.execute(
    `INSERT INTO signalbox.materialization (
       id, asset_key, at, recorded_at, partition, provenance, data_version, code_version, inputs)
     SELECT gen_random_uuid(), 'fast/' || a, d + interval '1 day', now(), to_char(d, 'YYYY-MM-DD'), 'computed',
            'v' || a, '1',
            CASE WHEN a < 10 THEN '[]'::jsonb ELSE jsonb_build_array(jsonb_build_array(
              'fast/' || (a - 10), to_char(d, 'YYYY-MM-DD'), gen_random_uuid(), 'v' || (a - 10))) END
     FROM generate_series(0, $1 - 1) AS a,
          generate_series(current_date - $2::int, current_date - 1, interval '2 days') AS d`,
    [ASSETS, DAYS],
  );
  await stand.db.execute(
    `INSERT INTO signalbox.asset_partition (
       asset_key, partition, version_id, at, recorded_at, data_version, code_version, end_at)
     SELECT asset_key, partition, id, at, recorded_at, data_version, code_version, at
     FROM signalbox.materialization`,
  );
  await stand.db.execute(
    `UPDATE signalbox.asset a SET partitions_made = m.n, complete_at = m.at, computed_at = m.at,
       computed_id = m.id, served_id = m.id, last_id = m.id
     FROM (SELECT DISTINCT ON (asset_key) asset_key, id, at, count(*) OVER (PARTITION BY asset_key) AS n
           FROM signalbox.materialization ORDER BY asset_key, at DESC) m WHERE m.asset_key = a.key`,
  );
  await stand.db.execute('ANALYZE');
}, 120_000);
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

/** The best of a few, in milliseconds: what else runs on the machine is not measured. */
async function best(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let time = 0; time < 5; time += 1) {
    const started = performance.now();
    await work();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

test('all assets are judged for staleness in one look, which is kept until something is recorded', async () => {
  const { assets } = stand.catalog;
  const first = performance.now();
  expect((await assets.staleCauses()).size).toBe(0);
  const cold = performance.now() - first;
  const warm = await best(() => assets.staleCauses());
  expect([cold < 2_000, warm < 100]).toEqual([true, true]);
  const day = new Date(Date.now() - 2 * DAY_MS).toISOString().slice(0, 10);
  const anew = { result: 'new', codeVersion: '1', partitions: [day] };
  await stand.endAssets(endOf('fast/0', Date.now(), anew));
  const causes = await assets.staleCauses();
  expect(causes.get('fast/10')).toMatchObject([
    { reason: 'upstream-changed', upstream: 'fast/0', partition: day },
  ]);
  expect(causes.get('fast/1990')).toMatchObject([{ reason: 'upstream-stale' }]);
  expect(causes.size).toBe(ASSETS / 10 - 1);
});

test('a thousand assets are listed with totals and causes, one is shown, in milliseconds', async () => {
  const { assets } = stand.catalog;
  await assets.staleCauses();
  const list = await best(() => assets.list({ limit: 1_000 }));
  const one = await best(() => assets.get('fast/1999'));
  const lineage = await best(() => assets.lineage('fast/5', 50));
  expect([list < 1_000, one < 100, lineage < 500]).toEqual([true, true, true]);
});

test('partitions of one asset are paged, counted and selected without a look at the others', async () => {
  const { assets } = stand.catalog;
  const page = await best(() => assets.partitions('fast/500', { limit: 100 }));
  const counts = await best(() => assets.partitionCounts('fast/500'));
  const impact = await best(() => assets.impact('fast/5', null));
  expect([page < 300, counts < 300, impact < 1_000]).toEqual([true, true, true]);
  const { items } = await assets.partitions('fast/500', { state: 'missing', limit: 3 });
  expect(items).toHaveLength(3);
});

test('five thousand partitions are recorded in batches, and their asset’s sums are right', async () => {
  const started = performance.now();
  const keys = Array.from({ length: DAYS }, (_, index) =>
    new Date(Date.now() - (index + 1) * DAY_MS).toISOString().slice(0, 10),
  );
  for (let asset = 0; asset < 100; asset += 10) {
    await stand.endAssets(
      ...Array.from({ length: 10 }, (_, index) => {
        const value = Object.fromEntries(keys.map((key) => [key, key]));
        return endOf(`fast/${asset + index}`, Date.now(), { result: value, partitions: keys });
      }),
    );
  }
  const tookMs = performance.now() - started;
  const rows = await stand.db.query<{ ok: boolean }>(
    `SELECT a.partitions_made = (SELECT count(*) FROM signalbox.asset_partition p
                                 WHERE p.asset_key = a.key AND p.version_id IS NOT NULL) AS ok
     FROM signalbox.asset a`,
  );
  expect(rows.every(({ ok }) => ok)).toBe(true);
  expect(tookMs).toBeLessThan(20_000);
  expect(await stand.catalog.assets.partitionCounts('fast/7')).toMatchObject({ missing: 0 });
});
