import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assetOf, type Stand, startCatalog } from '../catalog/stand.ts';

let stand: Stand;
/** Twenty levels of a hundred assets, each of which reads three of the level above. */
const LEVELS = 20;
const WIDTH = 100;

beforeAll(async () => {
  stand = await startCatalog();
  const definitions = Array.from({ length: LEVELS }, (_, level) =>
    Array.from({ length: WIDTH }, (__, place) =>
      assetOf(`wide/${level}-${place}`, {
        dependsOn:
          level === 0
            ? []
            : [0, 1, 2].map(
                (shift) => `wide/${level - 1}-${(place + shift * 3 ** (level % 4)) % WIDTH}`,
              ),
        failAfterMs: 60_000,
        deadlineCron: '@daily',
      }),
    ),
  ).flat();
  await stand.catalog.workflows.register(
    [
      ...definitions,
      assetOf('loop/a', { dependsOn: ['loop/c'] }),
      assetOf('loop/b', { dependsOn: ['loop/a'] }),
      assetOf('loop/c', { dependsOn: ['loop/b', 'loop/undefined'] }),
    ],
    [],
  );
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

describe('lineage', () => {
  test('goes as many levels up and down as asked', async () => {
    const graph = await stand.catalog.assets.lineage('wide/10-50', 1);
    const depths = graph.nodes.map((node) => node.depth);
    expect(graph.nodes[0]).toEqual({ key: 'wide/10-50', depth: 0, freshness: 'unknown' });
    expect(depths.filter((depth) => depth === -1)).toHaveLength(3);
    expect(depths.filter((depth) => depth === 1)).toHaveLength(3);
    expect(graph.edges).toHaveLength(6);
  });

  test('ends in a circle, and shows assets that are only named', async () => {
    const graph = await stand.catalog.assets.lineage('loop/a', 50);
    expect(graph.nodes.map((node) => node.key).sort()).toEqual([
      'loop/a',
      'loop/b',
      'loop/c',
      'loop/undefined',
    ]);
    expect(graph.edges).toHaveLength(4);
  });

  test('an edge that another server adds or takes away is seen at once', async () => {
    const before = await stand.catalog.assets.lineage('loop/a', 1);
    expect(before.edges).not.toContainEqual({ from: 'wide/0-0', to: 'loop/a' });
    await stand.other.workflows.register(
      [assetOf('loop/a', { dependsOn: ['loop/c', 'wide/0-0'] })],
      [],
    );
    const added = await stand.catalog.assets.lineage('loop/a', 1);
    expect(added.edges).toContainEqual({ from: 'wide/0-0', to: 'loop/a' });
    await stand.other.workflows.register([assetOf('loop/a', { dependsOn: ['loop/c'] })], []);
    expect((await stand.catalog.assets.lineage('loop/a', 1)).edges).toEqual(before.edges);
  });

  test('an asset that nobody knows is not found, a depth that is none is refused', async () => {
    await expect(stand.catalog.assets.lineage('no/where', 3)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(stand.catalog.assets.lineage('loop/a', -1)).rejects.toMatchObject({
      code: 'invalid-request',
    });
  });

  test('of 2,000 assets takes milliseconds', async () => {
    const times: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      const startMs = performance.now();
      const graph = await stand.catalog.assets.lineage('wide/10-50', 20);
      times.push(performance.now() - startMs);
      expect(graph.nodes.length).toBeGreaterThan(1_000);
    }
    times.sort((a, b) => a - b);
    expect(times[0]).toBeLessThan(100);
  });

  test('detectors get all assets with their policies and upstreams', async () => {
    const assets = await stand.catalog.assets.forDetectors();
    expect(assets).toHaveLength(LEVELS * WIDTH + 4);
    expect(assets.find((asset) => asset.key === 'loop/c')).toMatchObject({
      upstream: ['loop/b', 'loop/undefined'],
      policy: { critical: false },
    });
    expect(assets.find((asset) => asset.key === 'wide/1-0')?.policy.failAfterMs).toBe(60_000);
  });
});
