import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_POLICY } from '../../../domain/asset.ts';
import type { DetectorAsset } from '../../../domain/finding.ts';
import { staleAsset } from '../../../incidents/detectors/stale-asset.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const policy = { ...NO_POLICY, failAfterMs: 60_000 };
const asset = (key: string, upstream: readonly string[], patch = {}): DetectorAsset => ({
  ...{ key, upstream, source: null, owners: [], policy: { ...policy, ...patch } },
});
const state = (key: string, computedAt: number, failedAt = 0, detail = '') => ({
  ...{ asset_key: key, computed_ms: computedAt, computed_recorded_ms: computedAt },
  ...{ failed_ms: failedAt, failed_recorded_ms: failedAt, failed_detail: detail },
  failures: failedAt > 0 ? [[failedAt, failedAt]] : [],
});

function findings(assets: readonly DetectorAsset[], states: ReturnType<typeof state>[]) {
  const context = { settings: staleAsset.defaults, assets, now: NOW };
  return staleAsset.evaluate({ states }, context).filter(({ status }) => status === 'firing');
}

describe('one cascade is one finding', () => {
  it('whatever the shape of the lineage behind the root', () => {
    const shape = fc.array(fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(shape, (parents) => {
        const keys = ['a/root', ...parents.map((_, index) => `a/n${index}`)];
        const assets = keys.map((key, index) =>
          asset(
            key,
            (parents[index - 1] ?? []).map((pick) => keys[pick % index] ?? 'a/root'),
          ),
        );
        const all = findings(
          assets,
          keys.map((key) => state(key, NOW - 120_000)),
        );
        expect(all.map(({ fingerprint }) => fingerprint)).toEqual(['stale-asset:a/root']);
        expect(all[0]?.affected).toHaveLength(keys.length - 1);
      }),
    );
  });

  it('also where lineage from outside makes a circle', () => {
    const assets = [asset('a/x', ['a/y']), asset('a/y', ['a/x'])];
    const states = [state('a/x', NOW - 120_000), state('a/y', NOW - 120_000)];
    expect(findings(assets, states).length).toBeLessThanOrEqual(2);
  });

  it('but two causes are two', () => {
    const assets = [asset('a/r1', []), asset('a/r2', []), asset('a/m', ['a/r1', 'a/r2'])];
    const states = assets.map(({ key }) => state(key, NOW - 120_000));
    const all = findings(assets, states).map(({ fingerprint }) => fingerprint);
    expect(all).toEqual(['stale-asset:a/r1', 'stale-asset:a/r2'].slice(0, all.length));
    expect(all).toHaveLength(2);
  });
});

describe('an asset by its policy', () => {
  it('is not held against one that failed but is not critical while its data is fresh', () => {
    expect(findings([asset('a/x', [])], [state('a/x', NOW - 10_000, NOW - 5_000)])).toEqual([]);
  });

  it('that is critical is a finding at its failure', () => {
    const assets = [asset('a/x', [], { critical: true })];
    const detail = '{"state":"failed","error":{"message":"no such table"}}';
    expect(findings(assets, [state('a/x', NOW - 10_000, NOW - 5_000, detail)])).toMatchObject([
      { diagnosis: 'materialization-failed', since: NOW - 5_000, severity: 'critical' },
    ]);
  });

  it('misses its deadline when nothing new came since the one before', () => {
    const daily = { failAfterMs: null, deadlineCron: '0 6 * * *' };
    const day = 86_400_000;
    const six = Date.UTC(2026, 0, 5, 6);
    const assets = [asset('a/x', [], daily)];
    expect(findings(assets, [state('a/x', six - 3_600_000)])).toEqual([]);
    expect(findings(assets, [state('a/x', six - day - 60_000)])).toMatchObject([
      { since: six, reason: 'past-its-deadline' },
    ]);
  });

  it('that was never seen is unknown, not fresh', () => {
    const context = { settings: staleAsset.defaults, assets: [asset('a/x', [])], now: NOW };
    expect(staleAsset.evaluate({ states: [] }, context)).toMatchObject([{ status: 'unknown' }]);
  });
});
