import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Graph } from '../../../orchestrator/catalog/graph.ts';
import { ACTOR, assetOf, endOf, type Stand, startCatalog } from '../catalog/stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startCatalog();
  await stand.catalog.workflows.register(
    [
      assetOf('m/raw', { fallback: 'last-good' }),
      assetOf('m/left', { dependsOn: ['m/raw'] }),
      assetOf('m/right', { dependsOn: ['m/raw'] }),
      assetOf('m/mart', { dependsOn: ['m/right', 'm/left'] }),
      assetOf('m/report', { dependsOn: ['m/mart'] }),
      assetOf('m/apart'),
    ],
    [],
  );
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

async function graphOf(runId: string): Promise<Record<string, string[]>> {
  const [row] = await stand.db.query<{ graph: Graph }>(
    `SELECT v.graph FROM signalbox.run r JOIN signalbox.workflow_version v ON v.id = r.version_id
     WHERE r.id = $1`,
    [runId],
  );
  const tasks = row?.graph.tasks ?? [];
  for (const [index, task] of tasks.entries()) {
    for (const upstream of task.after) expect(upstream).toBeLessThan(index);
  }
  return Object.fromEntries(
    tasks.map((task) => [task.key, task.after.map((index) => tasks[index]?.key ?? '')]),
  );
}

describe('materializing', () => {
  test('one asset is a run of its own workflow', async () => {
    const run = await stand.catalog.assets.materialize(['m/raw'], {}, ACTOR);
    expect(run).toMatchObject({ workflow: 'm/raw', state: 'queued', engine: 'signalbox' });
    expect(await graphOf(run.id)).toEqual({ 'm/raw': [] });
  });

  test('with downstream it is one run of all that lies below, each after what it depends on', async () => {
    const run = await stand.catalog.assets.materialize(['m/raw'], { downstream: true }, ACTOR);
    expect(run.workflow).toBe('assets');
    expect(await graphOf(run.id)).toEqual({
      'm/raw': [],
      'm/left': ['m/raw'],
      'm/right': ['m/raw'],
      'm/mart': ['m/left', 'm/right'],
      'm/report': ['m/mart'],
    });
    const again = await stand.catalog.assets.materialize(['m/raw'], { downstream: true }, ACTOR);
    const versions = await stand.db.query<{ version_id: string }>(
      'SELECT DISTINCT version_id FROM signalbox.run WHERE id = ANY($1)',
      [[run.id, again.id]],
    );
    expect(versions).toHaveLength(1);
    const { items } = await stand.catalog.workflows.list({});
    expect(items).toEqual([]);
  });

  test('assets that depend on each other through one that is not chosen keep their order', async () => {
    const run = await stand.catalog.assets.materialize(['m/report', 'm/raw', 'm/apart'], {}, ACTOR);
    expect(await graphOf(run.id)).toEqual({ 'm/raw': [], 'm/apart': [], 'm/report': ['m/raw'] });
  });

  test('the same key gives the first run, for one server and the other', async () => {
    const [one, two] = await Promise.all(
      [stand.catalog, stand.other].map((catalog) =>
        catalog.assets.materialize(['m/left', 'm/right'], { idempotencyKey: 'once' }, ACTOR),
      ),
    );
    expect(one?.id).toBe(two?.id);
  });

  test('an asset that nobody knows or that is made elsewhere is refused', async () => {
    await expect(stand.catalog.assets.materialize(['m/none'], {}, ACTOR)).rejects.toMatchObject({
      code: 'not-found',
    });
    await stand.catalog.assets.setPolicy('m/outside', {}, ACTOR);
    await expect(stand.catalog.assets.materialize(['m/outside'], {}, ACTOR)).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(stand.catalog.assets.materialize([], {}, ACTOR)).rejects.toMatchObject({
      code: 'invalid-request',
    });
  });

  test('assets that depend on each other in a circle are refused; a circle from lineage only is not', async () => {
    await stand.catalog.workflows.register(
      [
        assetOf('c/a', { dependsOn: ['c/b'] }),
        assetOf('c/b', { dependsOn: ['c/a'] }),
        assetOf('d/a'),
        assetOf('d/b', { dependsOn: ['d/a'] }),
      ],
      [],
    );
    await expect(stand.catalog.assets.materialize(['c/a', 'c/b'], {}, ACTOR)).rejects.toMatchObject(
      {
        code: 'conflict',
      },
    );
    await stand.db.execute(`INSERT INTO signalbox.asset_edge VALUES ('d/b', 'd/a', 'openlineage')`);
    const run = await stand.catalog.assets.materialize(['d/a', 'd/b'], {}, ACTOR);
    expect(await graphOf(run.id)).toEqual({ 'd/a': [], 'd/b': ['d/a'] });
  });
});

describe('levers', () => {
  const levers = () => stand.catalog.levers.assets;

  test('downstream gives what lies below in dependency order, nearest first, to the depth asked', async () => {
    expect(await levers().downstream('m/raw', 10)).toEqual([
      'm/left',
      'm/right',
      'm/mart',
      'm/report',
    ]);
    expect(await levers().downstream('m/raw', 1)).toEqual(['m/left', 'm/right']);
    expect(await levers().downstream('c/a', 10)).toEqual(['c/b']);
    expect(await levers().get('m/none')).toBeNull();
  });

  test('a fallback serves the last good version as degraded, once a key, until the asset is made anew', async () => {
    const before = Date.now() - 5_000;
    const eventTime = new Date(before).toISOString();
    await stand.endAssets(
      endOf('m/raw', Date.now(), {
        result: 'good',
        outcome: { metadata: {}, checks: [], eventTime },
      }),
    );
    expect(await levers().serveFallback('m/raw', 'test', 'f0')).toEqual({
      outcome: 'state-changed',
      found: 'fresh',
    });
    await stand.endAssets(endOf('m/raw', Date.now(), { state: 'failed' }));
    const served = await Promise.all([
      levers().serveFallback('m/raw', 'source down', 'f1'),
      stand.other.levers.assets.serveFallback('m/raw', 'source down', 'f1'),
      levers().serveFallback('m/raw', 'source down', 'f2'),
    ]);
    expect(served.map((each) => each.outcome).sort()).toEqual(['already-so', 'already-so', 'done']);
    const asset = await stand.catalog.assets.get('m/raw');
    expect(asset.freshness).toBe('degraded');
    expect(asset.lastMaterialization).toMatchObject({ provenance: 'fallback', at: eventTime });
    expect(await stand.catalog.assetValue('m/raw')).toMatchObject({
      value: 'good',
      degraded: true,
      at: eventTime,
    });
    expect(await levers().lastGood('m/raw')).toMatchObject({ provenance: 'computed' });

    await stand.endAssets(endOf('m/left', Date.now()));
    expect(await stand.catalog.assets.get('m/left')).toMatchObject({
      freshness: 'degraded',
      lastMaterialization: { provenance: 'computed', metadata: { degradedBy: ['m/raw'] } },
    });

    await stand.endAssets(
      endOf('m/raw', Date.now(), { result: 'new' }),
      endOf('m/left', Date.now() + 1),
    );
    expect((await stand.catalog.assets.get('m/raw')).freshness).toBe('fresh');
    expect((await stand.catalog.assets.get('m/left')).freshness).toBe('fresh');
    const types = (await stand.events('asset'))
      .filter((event) => event['assetKey'] === 'm/raw')
      .map((event) => event['type']);
    expect(types).toEqual(['materialized', 'failed', 'fallback-served', 'materialized']);
  });

  test('an asset without a good version has no fallback', async () => {
    expect(await levers().lastGood('m/apart')).toBeNull();
    await expect(levers().serveFallback('m/apart', 'test', 'f')).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  test('materialize makes one run of the keys under its own key', async () => {
    const run = await levers().materialize(['m/mart', 'm/raw'], 'runbook-1');
    expect(run.trigger).toBe('runbook');
    expect((await levers().materialize(['m/mart', 'm/raw'], 'runbook-1')).id).toBe(run.id);
    expect(await graphOf(run.id)).toEqual({ 'm/raw': [], 'm/mart': ['m/raw'] });
  });

  test('materialize leaves out what is made elsewhere, unless nothing is left', async () => {
    await stand.catalog.assets.setPolicy('m/foreign', {}, ACTOR);
    const run = await levers().materialize(['m/raw', 'm/foreign', 'm/left'], 'runbook-2');
    expect(await graphOf(run.id)).toEqual({ 'm/raw': [], 'm/left': ['m/raw'] });
    await expect(levers().materialize(['m/foreign'], 'runbook-3')).rejects.toMatchObject({
      code: 'conflict',
    });
  });
});
