import { describe, expect, it } from 'vitest';
import type { Asset, Materialization } from '../../domain/asset.ts';
import type { Incident } from '../../domain/incident.ts';
import { fallbackRematerialize } from '../../runbooks/fallback-rematerialize.ts';
import { actingOn, memoryWorld } from './levers.ts';

const version = { at: '2026-01-05T10:00:00.000Z' } as Materialization;
const someAsset = (key: string, patch: Partial<Asset> = {}): Asset =>
  ({
    ...{ key, owners: ['data'], freshness: 'stale', lastMaterialization: version, dependsOn: [] },
    policy: {
      warnAfter: null,
      failAfter: null,
      deadlineCron: null,
      critical: true,
      fallback: null,
    },
    ...patch,
  }) as Asset;
const withFallback = { ...someAsset('').policy, fallback: 'last-good' } as const;

const assetWorld = (root: Partial<Asset> = { policy: withFallback }) =>
  memoryWorld({
    assets: { raw: someAsset('raw', root), mid: someAsset('mid'), mart: someAsset('mart') },
    downstream: { raw: ['mid', 'mart'] },
  });
const failed: Partial<Incident> = {
  kind: 'stale-asset',
  diagnosis: 'source-failed',
  subjects: [
    { type: 'asset', id: 'raw' },
    { type: 'source', id: 'https://crm.example/' },
  ],
};

describe('fallback-rematerialize', () => {
  it('leaves an asset that is made elsewhere to whoever makes it', async () => {
    const stale = { ...failed, diagnosis: 'no-new-version' };
    const refused = await fallbackRematerialize.plan(
      actingOn(assetWorld({ external: true }), stale),
    );
    expect(refused).toMatchObject({ refusal: 'asset-is-made-elsewhere', calls: [] });
    const served = assetWorld({ external: true, policy: withFallback });
    const { calls } = await fallbackRematerialize.plan(actingOn(served, failed));
    expect(calls.map(({ key }) => key)).toEqual(['serve-fallback']);
  });

  it('serves the fallback first, waits for the source, then makes all anew in one run', async () => {
    const world = assetWorld();
    world.sourceUp = false;
    const context = actingOn(world, failed);
    const plan = await fallbackRematerialize.plan(context);
    expect(plan.calls.map(({ key }) => key)).toEqual([
      'serve-fallback',
      'await-source',
      'rematerialize',
    ]);
    expect(plan.affected.map(({ id }) => id)).toEqual(['mid', 'mart']);
    let degradedMeanwhile = false;
    const waitUntil: typeof context.waitUntil = (key, condition, limitMs) => {
      let polls = 0;
      return context.waitUntil(
        key,
        () => {
          degradedMeanwhile ||= world.assets['raw']?.freshness === 'degraded';
          if (++polls === 6) world.sourceUp = true;
          return condition();
        },
        limitMs,
      );
    };
    await fallbackRematerialize.act({ ...context, waitUntil }, plan);
    expect(context.stages).toEqual(['fallback-served']);
    expect(degradedMeanwhile).toBe(true);
    const probes = world.materialized.slice(0, -1);
    expect(probes.length).toBeGreaterThan(1);
    expect(probes.every((keys) => keys.join() === 'raw')).toBe(true);
    expect(world.materialized.at(-1)).toEqual(['raw', 'mid', 'mart']);
    expect(await fallbackRematerialize.confirm(context, plan)).toMatchObject({ ok: true });
  });

  it('serves no fallback where the policy has none', async () => {
    const plan = await fallbackRematerialize.plan(actingOn(assetWorld({}), failed));
    expect(plan.calls.map(({ key }) => key)).toEqual(['await-source', 'rematerialize']);
    expect(plan.reasons).toContain('its policy has no fallback');
  });

  it('only makes anew what merely has no new version', async () => {
    const stale = { ...failed, diagnosis: 'no-new-version' };
    const plan = await fallbackRematerialize.plan(actingOn(assetWorld(), stale));
    expect(plan.calls.map(({ key }) => key)).toEqual(['rematerialize']);
  });

  it('gives up when the source does not come back within the limit', async () => {
    const world = assetWorld();
    world.sourceUp = false;
    const context = { ...actingOn(world, failed), parameters: { waitForSource: '60s' } };
    const plan = await fallbackRematerialize.plan(context);
    await expect(fallbackRematerialize.act(context, plan)).rejects.toThrow('did not come back');
    expect(world.materialized.every((keys) => keys.join() === 'raw')).toBe(true);
    expect(world.assets['raw']?.freshness).toBe('degraded');
  });

  it('does not confirm while an asset is degraded', async () => {
    const world = assetWorld();
    const context = actingOn(world, failed);
    const plan = await fallbackRematerialize.plan(context);
    world.assets['mid'] = someAsset('mid', { freshness: 'degraded' });
    expect(await fallbackRematerialize.confirm(context, plan)).toMatchObject({ ok: false });
  });

  it('refuses for an asset that nobody knows', async () => {
    const plan = await fallbackRematerialize.plan(actingOn(memoryWorld(), failed));
    expect(plan.refusal).toBe('asset-is-not-known');
  });
});
