/** Freshness where time, policies and partitions are unkind. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NO_POLICY } from '../../../domain/asset.ts';
import { manualClock } from '../../../domain/time.ts';
import { judgeAt } from '../../../orchestrator/assets/partitions/freshness.ts';
import { freshnessAt } from '../../../orchestrator/assets/policy.ts';
import { ACTOR, assetOf, endOf, type Stand, startCatalog } from '../catalog/stand.ts';

let stand: Stand;
const clock = manualClock(Date.now());
beforeAll(async () => {
  stand = await startCatalog(clock);
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

const at = (text: string) => Date.parse(text);

describe('a deadline', () => {
  const policy = { ...NO_POLICY, deadlineCron: '30 2 * * *' };

  it('at 02:30 comes once a day, also on the days on which clocks change elsewhere', () => {
    for (const day of ['2026-03-29', '2026-10-25', '2026-03-08', '2026-11-01']) {
      const before = at(`${day}T02:29:59Z`);
      const data = at(`${day}T02:30:00Z`) - 24 * 3_600_000;
      expect(freshnessAt(before)(policy, data, false)).toBe('fresh');
      expect(freshnessAt(at(`${day}T02:30:00Z`))(policy, data, false)).toBe('stale');
      expect(freshnessAt(at(`${day}T02:30:00Z`))(policy, data + 1, false)).toBe('fresh');
    }
  });

  it('that never comes asks for nothing', () => {
    const never = { ...NO_POLICY, deadlineCron: '0 0 30 2 *' };
    expect(freshnessAt(at('2026-05-01T00:00:00Z'))(never, 0, false)).toBe('fresh');
  });
});

describe('windows of a few seconds', () => {
  it('change at their very moment', () => {
    const policy = { ...NO_POLICY, warnAfterMs: 1_000, failAfterMs: 2_000 };
    const of = (age: number) => freshnessAt(1_000_000 + age)(policy, 1_000_000, false);
    expect([0, 1_000, 1_001, 2_000, 2_001].map(of)).toEqual([
      ...['fresh', 'fresh', 'warning', 'warning', 'stale'],
    ]);
  });
});

describe('data from the future', () => {
  it('counts as of now: it grows old like any other', async () => {
    const { quality, assets } = stand.catalog;
    const now = clock.now();
    const eventTime = new Date(now + 40 * 86_400_000).toISOString();
    await assets.setPolicy('fa/observed', { failAfter: '1h' }, ACTOR);
    await quality.reportObservation('fa/observed', { eventTime }, ACTOR);
    await assets.setPolicy('fa/made', { failAfter: '1h' }, ACTOR);
    await quality.reportMaterialization('fa/made', { eventTime }, ACTOR);
    expect((await assets.get('fa/observed')).freshness).toBe('fresh');
    clock.advance(2 * 3_600_000);
    expect((await assets.get('fa/observed')).freshness).toBe('stale');
    expect((await assets.get('fa/made')).freshness).toBe('stale');
  });
});

describe('a policy that is set by hand', () => {
  it('holds for an asset that nobody has seen yet, which is unknown and not healthy', async () => {
    const { assets } = stand.catalog;
    const set = await assets.setPolicy('fa/unseen', { failAfter: '5s', critical: true }, ACTOR);
    expect(set).toMatchObject({
      freshness: 'unknown',
      external: true,
      policy: { failAfter: '5s' },
    });
    await stand.catalog.workflows.register([assetOf('fa/unseen', { failAfterMs: 60_000 })], []);
    expect(await assets.get('fa/unseen')).toMatchObject({
      external: false,
      policy: { failAfter: '5s' },
    });
  });

  it('changes what is stale at once, and back', async () => {
    const { assets, workflows } = stand.catalog;
    await workflows.register([assetOf('fa/changed', { failAfterMs: 60_000 })], []);
    await stand.endAssets(endOf('fa/changed', clock.now()));
    clock.advance(120_000);
    expect((await assets.get('fa/changed')).freshness).toBe('stale');
    expect((await assets.setPolicy('fa/changed', { failAfter: '1h' }, ACTOR)).freshness).toBe(
      'fresh',
    );
    expect((await assets.setPolicy('fa/changed', { failAfter: null }, ACTOR)).freshness).toBe(
      'fresh',
    );
    expect((await assets.setPolicy('fa/changed', {}, ACTOR)).freshness).toBe('stale');
  });

  it('is refused where it contradicts what the code declares', async () => {
    const { assets, workflows } = stand.catalog;
    await workflows.register([assetOf('fa/odd', { warnAfterMs: 7_200_000 })], []);
    await expect(
      assets.setPolicy('fa/odd', { warnAfter: '3h', failAfter: '1h' }, ACTOR),
    ).rejects.toThrow('warnAfter is longer');
    await expect(assets.setPolicy('fa/odd', { failAfter: '1 fortnight' }, ACTOR)).rejects.toThrow();
    await expect(
      assets.setPolicy('fa/odd', { deadlineCron: '30 25 * * *' }, ACTOR),
    ).rejects.toThrow('cron');
  });
});

describe('dynamic partitions', () => {
  it('are stale while a key is missing, fresh when it is made, unknown while there is none', async () => {
    const { assets, workflows } = stand.catalog;
    const partitions = { kind: 'dynamic', name: 'fa-shops' } as const;
    await workflows.register([assetOf('fa/shops', { partitions, failAfterMs: 3_600_000 })], []);
    const change = (add: readonly string[], remove: readonly string[] = []) =>
      assets.changeDynamicPartitions('fa-shops', { add, remove }, ACTOR);
    const made = (key: string) =>
      stand.endAssets(endOf('fa/shops', clock.now(), { partitions: [key] }));
    const freshness = async () => (await assets.get('fa/shops')).freshness;
    expect(await freshness()).toBe('unknown');
    await change(['a']);
    await made('a');
    expect(await freshness()).toBe('fresh');
    await change(['b']);
    expect(await freshness()).toBe('stale');
    await made('b');
    expect(await freshness()).toBe('fresh');
    clock.advance(1_800_000);
    await made('a');
    clock.advance(1_900_000);
    // As old as its oldest key.
    expect(await freshness()).toBe('stale');
    await change([], ['b']);
    expect(await freshness()).toBe('fresh');
    await change([], ['a']);
    expect(await freshness()).toBe('unknown');
  });

  it('of which nothing was made are unknown, whatever else is known', () => {
    const judge = judgeAt(10_000_000);
    const of = { policy: NO_POLICY, computedAtMs: 1, fallback: false, completeAtMs: null };
    expect(judge({ ...of, partitions: { kind: 'dynamic', name: 'x' }, made: 0 })).toBe('unknown');
    expect(judge({ ...of, partitions: { kind: 'dynamic', name: 'x' }, made: 1 })).toBe('stale');
  });
});
