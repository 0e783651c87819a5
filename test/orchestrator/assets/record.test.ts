import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import type { AssetTaskEnd } from '../../../orchestrator/assets/outcome.ts';
import { ACTOR, assetOf, endOf, type Stand, startCatalog } from '../catalog/stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startCatalog();
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

const HOUR_MS = 3_600_000;
const events = async (
  key: string,
): Promise<(Record<string, unknown> & { detail: Record<string, unknown> })[]> =>
  (await stand.events('asset'))
    .filter((event) => event['assetKey'] === key)
    .map((event) => ({
      ...event,
      detail: JSON.parse(String(event['detail'])) as Record<string, unknown>,
    }));

function withCheck(passed: boolean, blocking: boolean): AssetTaskEnd['outcome'] {
  return {
    metadata: { rows: 3 },
    checks: [{ name: 'quality', passed, blocking, metadata: { score: 0.5 } }],
  };
}

describe('what becomes of an asset’s task', () => {
  test('a success is a version with event time, provenance and value, and an event', async () => {
    await stand.catalog.workflows.register([assetOf('t/made', { source: 'https://source' })], []);
    const now = Date.now();
    await stand.endAssets(
      endOf('t/made', now, {
        result: { rows: [1, 2] },
        outcome: { metadata: { n: 1 }, checks: [] },
      }),
    );
    const asset = await stand.catalog.assets.get('t/made');
    expect(asset).toMatchObject({ namespace: 't', name: 'made', freshness: 'fresh' });
    expect(asset.lastMaterialization).toMatchObject({
      provenance: 'computed',
      metadata: { n: 1 },
      runId: '01990000-0000-7000-8000-000000000001',
    });
    expect(await stand.catalog.assetValue('t/made')).toMatchObject({
      value: { rows: [1, 2] },
      degraded: false,
    });
    expect(Date.parse(asset.lastMaterialization?.at ?? '')).toBeGreaterThanOrEqual(now);
    expect(await events('t/made')).toMatchObject([
      { type: 'materialized', detail: { source: 'https://source', critical: false } },
    ]);
  });

  test('event time is what the code says, else the end of the interval, and a backfill turns nothing fresher', async () => {
    await stand.catalog.workflows.register([assetOf('t/old', { failAfterMs: HOUR_MS })], []);
    const now = Date.now();
    const interval = { start: now - 49 * HOUR_MS, end: now - 48 * HOUR_MS };
    await stand.endAssets(endOf('t/old', now, { dataInterval: interval }));
    const old = await stand.catalog.assets.get('t/old');
    expect(old.freshness).toBe('stale');
    expect(old.lastMaterialization).toMatchObject({
      at: new Date(interval.end).toISOString(),
      partition: new Date(interval.start).toISOString(),
    });
    const eventTime = new Date(now - 1_000).toISOString();
    await stand.endAssets(
      endOf('t/old', now, {
        outcome: { metadata: {}, checks: [], eventTime },
        dataInterval: interval,
      }),
    );
    expect((await stand.catalog.assets.get('t/old')).freshness).toBe('fresh');
    await stand.endAssets(endOf('t/old', now, { dataInterval: interval, result: 'backfill' }));
    const after = await stand.catalog.assets.get('t/old');
    expect(after.lastMaterialization?.at).toBe(eventTime);
    const { items } = await stand.catalog.assets.materializations('t/old', { limit: 2 });
    expect(items).toHaveLength(2);
    const rest = await stand.catalog.assets.materializations('t/old', {});
    expect(rest.items).toHaveLength(3);
  });

  test('an event time in the future does not keep an asset fresh', async () => {
    const now = Date.now();
    await stand.catalog.workflows.register([assetOf('t/future')], []);
    const eventTime = new Date(now + 1_000 * HOUR_MS).toISOString();
    await stand.endAssets(
      endOf('t/future', now, { outcome: { metadata: {}, checks: [], eventTime } }),
    );
    const [row] = await stand.db.query<{ computed_at: Date }>(
      `SELECT computed_at FROM signalbox.asset WHERE key = 't/future'`,
    );
    expect(row?.computed_at.getTime()).toBeLessThan(now + HOUR_MS);
    await stand.endAssets(endOf('t/future', now, { result: 'next' }));
    expect((await stand.catalog.assetValue('t/future'))?.value).toBe('next');
  });

  test('a blocking check that fails makes the asset fail and keeps the last good version', async () => {
    await stand.catalog.workflows.register(
      [assetOf('t/checked', { checks: [{ name: 'quality', blocking: true }] })],
      [],
    );
    expect((await stand.catalog.assets.get('t/checked')).checks).toMatchObject([
      { name: 'quality', passed: null, blocking: true, at: null },
    ]);
    await stand.endAssets(
      endOf('t/checked', Date.now(), { result: 'good', outcome: withCheck(true, true) }),
    );
    await stand.endAssets(
      endOf('t/checked', Date.now(), { result: 'bad', outcome: withCheck(false, true) }),
    );
    const asset = await stand.catalog.assets.get('t/checked');
    expect(asset.checks).toMatchObject([{ name: 'quality', passed: false, blocking: true }]);
    expect((await stand.catalog.assetValue('t/checked'))?.value).toBe('good');
    expect((await events('t/checked')).map((event) => event['type'])).toEqual([
      'materialized',
      'check-passed',
      'check-failed',
      'failed',
    ]);
  });

  test('a check that fails without blocking is told, and the version counts', async () => {
    await stand.catalog.workflows.register([assetOf('t/soft')], []);
    await stand.endAssets(
      endOf('t/soft', Date.now(), { result: 'kept', outcome: withCheck(false, false) }),
    );
    expect((await stand.catalog.assetValue('t/soft'))?.value).toBe('kept');
    expect((await stand.catalog.assets.get('t/soft')).checks[0]?.passed).toBe(false);
  });

  test('a failure is told with its error and source, a cancellation is none', async () => {
    await stand.catalog.workflows.register(
      [assetOf('t/fails', { source: 'https://down', critical: true })],
      [],
    );
    await stand.endAssets(
      endOf('t/fails', Date.now(), {
        state: 'failed',
        error: { name: 'Error', message: 'refused' },
      }),
      endOf('t/cancelled', Date.now(), { state: 'cancelled' }),
    );
    expect(await events('t/fails')).toMatchObject([
      {
        type: 'failed',
        detail: {
          state: 'failed',
          source: 'https://down',
          critical: true,
          error: { message: 'refused' },
        },
      },
    ]);
    expect(await events('t/cancelled')).toEqual([]);
  });

  test('a value with characters that PostgreSQL refuses is kept without them', async () => {
    await stand.catalog.workflows.register([assetOf('t/nul')], []);
    await stand.endAssets(endOf('t/nul', Date.now(), { result: 'a\u0000b\ud83d\\ud83d😀' }));
    expect((await stand.catalog.assetValue('t/nul'))?.value).toBe('a\ufffdb\ufffd\\ud83d😀');
  });

  test('a value that is too long is refused to readers, who are told why', async () => {
    await stand.catalog.workflows.register([assetOf('t/long')], []);
    await stand.endAssets(endOf('t/long', Date.now(), { result: 'x'.repeat(9_000_000) }));
    await expect(stand.catalog.assetValue('t/long')).rejects.toMatchObject({ code: 'conflict' });
  });

  test('values that nobody reads any more are taken away, those that are served stay', async () => {
    const clock = manualClock(Date.now());
    await using own = await startCatalog(clock);
    await own.endAssets(endOf('v/a', clock.now(), { result: 'first' }));
    await own.endAssets(endOf('v/a', clock.now(), { result: 'second' }));
    clock.advance(HOUR_MS);
    const retention = own.catalog.reconcilers.find((each) => each.name === 'asset-values');
    await retention?.run();
    const rows = await own.db.query('SELECT value FROM signalbox.materialization ORDER BY id');
    expect(rows).toEqual([{ value: null }, { value: 'second' }]);
    expect((await own.catalog.assetValue('v/a'))?.value).toBe('second');
  });

  test('ends of many assets at once, from two servers, cost no deadlock', async () => {
    const keys = Array.from({ length: 200 }, (_, index) => `many/${index}`);
    const now = Date.now();
    const ends = keys.map((key) => endOf(key, now));
    await Promise.all(
      [ends, [...ends].reverse(), ends].map((batch, index) =>
        stand.hot.transaction((tx) =>
          (index % 2 ? stand.other : stand.catalog).recordAssetOutcomes(tx, batch),
        ),
      ),
    );
    const [row] = await stand.db.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM signalbox.materialization WHERE asset_key LIKE 'many/%'`,
    );
    expect(row?.n).toBe(600);
  });
});

describe('policies', () => {
  test('a policy may be set before the asset was ever seen; what was set wins field by field', async () => {
    const set = await stand.catalog.assets.setPolicy(
      'p/early',
      { failAfter: '90m', critical: true },
      ACTOR,
    );
    expect(set.freshness).toBe('unknown');
    await stand.catalog.workflows.register(
      [assetOf('p/early', { warnAfterMs: 60_000, failAfterMs: 120_000, fallback: 'last-good' })],
      [],
    );
    expect((await stand.catalog.assets.get('p/early')).policy).toEqual({
      warnAfter: '60s',
      failAfter: '90m',
      deadlineCron: null,
      critical: true,
      fallback: 'last-good',
    });
    const cleared = await stand.catalog.assets.setPolicy('p/early', { failAfter: null }, ACTOR);
    expect(cleared.policy).toMatchObject({ failAfter: null, critical: false });
  });

  test('is shown in the units in which policies are written', async () => {
    for (const failAfter of ['500ms', '8s', '90s', '60m', '24h', '36h', '7d']) {
      const { policy } = await stand.catalog.assets.setPolicy('p/units', { failAfter }, ACTOR);
      expect(policy.failAfter).toBe(failAfter);
    }
  });

  test('a duration or a deadline that is none is refused with its field', async () => {
    await expect(
      stand.catalog.assets.setPolicy('p/bad', { warnAfter: '5 apples' }, ACTOR),
    ).rejects.toMatchObject({ code: 'invalid-request', errors: [{ path: '/warnAfter' }] });
    await expect(
      stand.catalog.assets.setPolicy('p/bad', { warnAfter: '2h', failAfter: '1h' }, ACTOR),
    ).rejects.toMatchObject({ code: 'invalid-request' });
    await expect(
      stand.catalog.assets.setPolicy('p/bad', { deadlineCron: 'noon' }, ACTOR),
    ).rejects.toMatchObject({ code: 'invalid-request' });
  });

  test('an asset whose data missed the last deadline is stale, whatever its age', async () => {
    await stand.catalog.workflows.register(
      [assetOf('p/deadline', { deadlineCron: '@hourly' })],
      [],
    );
    const now = Date.now();
    const at = (ms: number) => ({
      metadata: {},
      checks: [],
      eventTime: new Date(ms).toISOString(),
    });
    await stand.endAssets(endOf('p/deadline', now, { outcome: at(now - 2.5 * HOUR_MS) }));
    expect((await stand.catalog.assets.get('p/deadline')).freshness).toBe('stale');
    const lastDeadline = now - (now % HOUR_MS);
    await stand.endAssets(endOf('p/deadline', now, { outcome: at(lastDeadline - 1_000) }));
    expect((await stand.catalog.assets.get('p/deadline')).freshness).toBe('fresh');
  });
});
