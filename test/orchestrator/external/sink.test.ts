import { describe, expect, test } from 'vitest';
import type { ExternalOutput, ExternalRunEvent } from '../../../domain/events.ts';
import { ACTOR, assetOf, type Stand, startCatalog } from '../catalog/stand.ts';

const START = Date.parse('2026-05-05T02:00:00Z');
const ENGINE = 'openlineage:prod';

function eventOf(
  externalId: string,
  state: ExternalRunEvent['state'],
  atMs: number,
  more: Partial<ExternalRunEvent> = {},
): ExternalRunEvent {
  return {
    engine: ENGINE,
    externalId,
    job: 'orders.load',
    state,
    at: START + atMs,
    logicalDate: null,
    parameters: {},
    parent: null,
    root: null,
    inputs: [],
    outputs: [],
    error: null,
    owners: [],
    businessKey: 'as the collector understood it',
    ...more,
  };
}

function outputOf(assetKey: string, more: Partial<ExternalOutput> = {}): ExternalOutput {
  return { assetKey, rowCount: null, metadata: {}, checks: [], ...more };
}

async function runOf(stand: Stand, externalId: string) {
  const [row] = await stand.db.query<Record<string, unknown>>(
    `SELECT r.*, p.external_id AS parent FROM signalbox.run r
     LEFT JOIN signalbox.run p ON p.id = r.parent_run_id WHERE r.external_id = $1`,
    [externalId],
  );
  return row;
}

const states = async (stand: Stand) => (await stand.events('run')).map((event) => event['state']);

describe('runs of other engines', () => {
  test('a start and an end make one run, with the engine and the id that it has there', async () => {
    await using stand = await startCatalog();
    const logicalDate = START - 86_400_000;
    const more = { logicalDate, parameters: { region: 'eu' } };
    await stand.catalog.external.record([eventOf('r1', 'running', 0, more)]);
    expect(await runOf(stand, 'r1')).toMatchObject({ state: 'running', finished_at: null });
    await stand.catalog.external.record([
      eventOf('r1', 'succeeded', 60_000, { outputs: [outputOf('db/orders')] }),
    ]);
    expect(await runOf(stand, 'r1')).toMatchObject({
      engine: ENGINE,
      workflow: 'orders.load',
      state: 'succeeded',
      trigger: 'external',
      started_at: new Date(START),
      finished_at: new Date(START + 60_000),
      logical_date: new Date(logicalDate),
      parameters: { region: 'eu' },
      business_key: `${ENGINE}|orders.load|${new Date(logicalDate).toISOString()}|{"region":"eu"}|db/orders`,
    });
    expect(await stand.events('run')).toMatchObject([
      { state: 'running', startedAt: START, finishedAt: null, engine: ENGINE },
      { state: 'succeeded', startedAt: START, finishedAt: START + 60_000, taskKey: '' },
    ]);
  });

  test('any order of the same events gives the same run, and a repeat changes nothing', async () => {
    const events = [
      eventOf('same', 'running', 0, { inputs: ['db/in'] }),
      eventOf('same', 'running', 5_000, { parameters: { a: 1 } }),
      eventOf('same', 'succeeded', 9_000, { outputs: [outputOf('db/out', { rowCount: 7 })] }),
    ];
    const results: unknown[] = [];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      await using stand = await startCatalog();
      for (const index of order) {
        const event = events[index];
        if (event) await stand.catalog.external.record([event, event]);
      }
      const before = await stand.events('run');
      const assetEvents = await stand.events('asset');
      await Promise.all([
        stand.catalog.external.record(events),
        stand.other.external.record([...events].reverse()),
      ]);
      expect(await stand.events('run')).toEqual(before);
      expect(await stand.events('asset')).toEqual(assetEvents);
      const { id: _id, ...run } = (await runOf(stand, 'same')) ?? {};
      const { items } = await stand.catalog.assets.materializations('db/out', {});
      expect(items).toMatchObject([
        {
          at: new Date(START + 9_000).toISOString(),
          provenance: 'observed',
          metadata: { rowCount: 7 },
        },
      ]);
      const edges = await stand.db.query(
        'SELECT upstream, downstream, origin FROM signalbox.asset_edge',
      );
      expect(edges).toEqual([{ upstream: 'db/in', downstream: 'db/out', origin: 'openlineage' }]);
      results.push(run);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test('an end stays an end whatever comes later that is none; a later end corrects it', async () => {
    await using stand = await startCatalog();
    await stand.catalog.external.record([eventOf('r', 'failed', 5_000, { error: 'boom' })]);
    await stand.catalog.external.record([eventOf('r', 'running', 9_000)]);
    expect(await runOf(stand, 'r')).toMatchObject({
      state: 'failed',
      error: { message: 'boom' },
    });
    await stand.catalog.external.record([eventOf('r', 'cancelled', 4_000)]);
    expect(await runOf(stand, 'r')).toMatchObject({ state: 'failed' });
    await stand.catalog.external.record([eventOf('r', 'succeeded', 20_000)]);
    expect(await runOf(stand, 'r')).toMatchObject({ state: 'succeeded', error: null });
  });

  test('a parent and a root are known by their child, and become what they say themselves', async () => {
    await using stand = await startCatalog();
    const parent = { engine: ENGINE, externalId: 'dag', job: 'orders' };
    const root = { engine: 'openlineage:other', externalId: 'top', job: 'nightly' };
    await stand.catalog.external.record([eventOf('task', 'running', 1_000, { parent, root })]);
    expect(await runOf(stand, 'task')).toMatchObject({ parent: 'dag' });
    expect(await runOf(stand, 'dag')).toMatchObject({ workflow: 'orders', state: 'running' });
    expect(await runOf(stand, 'top')).toMatchObject({ workflow: 'nightly' });
    expect(await states(stand)).toEqual(['running']);
    await stand.catalog.external.record([
      eventOf('dag', 'running', 0, { job: 'orders' }),
      eventOf('dag', 'failed', 3_000, { job: 'orders', error: 'task failed' }),
    ]);
    expect(await runOf(stand, 'dag')).toMatchObject({
      state: 'failed',
      created_at: new Date(START),
      started_at: new Date(START),
    });
  });

  test('work that a task of ours started is a child of our own run', async () => {
    await using stand = await startCatalog();
    await stand.catalog.workflows.register([assetOf('our/asset')], []);
    const ours = await stand.catalog.assets.materialize(['our/asset'], {}, ACTOR);
    const parent = { engine: 'openlineage:signalbox', externalId: ours.id, job: 'our/asset' };
    await stand.catalog.external.record([eventOf('dbt', 'running', 0, { parent })]);
    expect(await runOf(stand, 'dbt')).toMatchObject({ parent_run_id: ours.id });
    const rows = await stand.db.query('SELECT id FROM signalbox.run');
    expect(rows).toHaveLength(2);
  });

  test('two deliveries of the same thousand runs at once make each of them once', async () => {
    await using stand = await startCatalog();
    const events = Array.from({ length: 1_500 }, (_, index) => [
      eventOf(`bulk-${index}`, 'running', index),
      eventOf(`bulk-${index}`, 'succeeded', index + 10, {
        inputs: ['db/raw'],
        outputs: [outputOf(`db/out-${index % 50}`)],
      }),
    ]).flat();
    await Promise.all([
      stand.catalog.external.record(events),
      stand.other.external.record([...events].reverse()),
    ]);
    const [row] = await stand.db.query<Record<string, number>>(
      `SELECT (SELECT count(*)::int FROM signalbox.run) AS runs,
              (SELECT count(*)::int FROM signalbox.run WHERE state = 'succeeded') AS succeeded,
              (SELECT count(*)::int FROM signalbox.materialization) AS versions`,
    );
    expect(row).toEqual({ runs: 1_500, succeeded: 1_500, versions: 1_500 });
    expect(await stand.events('asset')).toHaveLength(1_500);
  });
});

describe('assets of other engines', () => {
  test('a policy set before the asset was seen judges its freshness by event time', async () => {
    await using stand = await startCatalog();
    await stand.catalog.assets.setPolicy('db/orders', { failAfter: '60m', critical: true }, ACTOR);
    const now = Date.now();
    await stand.catalog.external.record([
      eventOf('old', 'succeeded', 0, {
        at: now - 2 * 3_600_000,
        outputs: [outputOf('db/orders')],
        owners: ['data@example.org'],
      }),
    ]);
    const stale = await stand.catalog.assets.get('db/orders');
    expect(stale).toMatchObject({ freshness: 'stale', owners: ['data@example.org'] });
    await stand.catalog.external.record([
      eventOf('new', 'succeeded', 0, { at: now, outputs: [outputOf('db/orders')] }),
    ]);
    expect((await stand.catalog.assets.get('db/orders')).freshness).toBe('fresh');
    const events = await stand.events('asset');
    expect(events.map((event) => [event['type'], event['at']])).toEqual([
      ['observed', now - 2 * 3_600_000],
      ['observed', now],
    ]);
    expect(JSON.parse(String(events[0]?.['detail']))).toMatchObject({ critical: true });
  });

  test('outputs that only the start named are made by the end, and fail with a failure', async () => {
    await using stand = await startCatalog();
    await stand.catalog.external.record([
      eventOf('a', 'running', 0, { outputs: [outputOf('db/a')] }),
      eventOf('b', 'running', 0, { outputs: [outputOf('db/b')] }),
    ]);
    expect((await stand.catalog.assets.get('db/a')).lastMaterialization).toBeNull();
    await stand.catalog.external.record([
      eventOf('a', 'succeeded', 10),
      eventOf('b', 'failed', 10, { error: 'disk full' }),
    ]);
    expect((await stand.catalog.assets.get('db/a')).lastMaterialization).toMatchObject({
      at: new Date(START + 10).toISOString(),
    });
    const failed = (await stand.events('asset')).find((event) => event['type'] === 'failed');
    expect(failed).toMatchObject({ assetKey: 'db/b' });
    expect(String(failed?.['detail'])).toContain('disk full');
  });

  test('checks count for what a run wrote and for what it only read', async () => {
    await using stand = await startCatalog();
    const checks = [{ name: 'not_null', passed: false, metadata: { column: 'id' } }];
    await stand.catalog.external.record([
      eventOf('t', 'succeeded', 0, {
        outputs: [outputOf('db/out', { checks: [{ name: 'unique', passed: true, metadata: {} }] })],
        inputChecks: [{ assetKey: 'db/in', checks }],
      }),
    ]);
    expect((await stand.catalog.assets.get('db/in')).checks).toMatchObject([
      { name: 'not_null', passed: false, blocking: false },
    ]);
    expect((await stand.catalog.assets.get('db/in')).lastMaterialization).toBeNull();
    const types = (await stand.events('asset')).map((event) => event['type']);
    expect(types.sort()).toEqual(['check-failed', 'check-passed', 'observed']);
  });

  test('code keeps what it declares of an asset that lineage speaks of too', async () => {
    await using stand = await startCatalog();
    await stand.catalog.workflows.register(
      [assetOf('db/up'), assetOf('db/down', { dependsOn: ['db/up'], owners: ['code'] })],
      [],
    );
    await stand.catalog.external.record([
      eventOf('x', 'succeeded', 0, {
        inputs: ['db/up'],
        outputs: [outputOf('db/down')],
        owners: ['lineage'],
      }),
    ]);
    expect(await stand.catalog.assets.get('db/down')).toMatchObject({ owners: ['code'] });
    const edges = await stand.db.query('SELECT origin FROM signalbox.asset_edge');
    expect(edges).toEqual([{ origin: 'code' }]);
  });

  test('a dataset’s schema is kept, and one without a schema leaves it', async () => {
    await using stand = await startCatalog();
    const schema = [{ name: 'id', type: 'int' }];
    await stand.catalog.external.recordDatasets([
      { key: 'db/s', schema, at: START },
      { key: 'db/s', schema: null, at: START - 1 },
    ]);
    await stand.catalog.external.recordDatasets([{ key: 'db/s', schema: null, at: START + 1 }]);
    const [row] = await stand.db.query('SELECT schema FROM signalbox.asset WHERE key = $1', [
      'db/s',
    ]);
    expect(row).toEqual({ schema });
  });
});
