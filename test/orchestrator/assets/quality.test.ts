/** Checks with thresholds and severity, facts over time, observations, reports from outside. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Asset } from '../../../domain/asset.ts';
import {
  asset,
  check,
  metadata,
  observe,
  rowCount,
  rowCountChange,
  schemaUnchanged,
} from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: AgentStand;
let rows = 10;
let column = 'amount';
let looked = 0;
let dataVersion: string | undefined = 'a';
let eventTime: Date | undefined;
let fresh = true;
const inputsSeen: unknown[] = [];

const orders = asset(
  'q/orders',
  {
    checks: [
      rowCountChange({ maxDrop: '20%' }),
      schemaUnchanged({ severity: 'warn' }),
      check('breaks', { severity: 'warn' }, () => {
        throw new RangeError('it cannot tell');
      }),
    ],
  },
  (ctx) => {
    ctx.record({ metadata: { score: rows / 10, source: metadata.url('https://example.org/o') } });
    return Array.from({ length: rows }, (_, id) => ({ id, [column]: id }));
  },
);
const guarded = asset('q/guarded', {}, () => [{ id: 1 }]);
const guard = check('guard', { asset: guarded, blocking: true }, () => fresh);
const external = check('external-age', { asset: 'dbt/table', severity: 'warn' }, () => ({
  passed: false,
  metadata: { ageMs: 5 },
}));
const source = observe('erp/invoices', { every: '6h', freshness: { failAfter: '1d' } }, () => {
  looked += 1;
  return {
    ...(dataVersion === undefined ? {} : { dataVersion }),
    ...(eventTime === undefined ? {} : { eventTime }),
    metadata: { files: looked },
  };
});
const below = asset('q/below', { dependsOn: { source } }, (_ctx, inputs) => {
  inputsSeen.push(inputs.source);
  return 1;
});

beforeAll(async () => {
  stand = await startAgentStand();
  await stand.start([orders, guarded, guard, external, source, below]);
});
afterAll(() => stand[Symbol.asyncDispose]());

const parts = () => stand.stand.orchestrator;
const get = (key: string): Promise<Asset> => parts().assets.get(key);

async function materialize(key: string) {
  return stand.ended((await parts().assets.materialize([key], {}, ACTOR)).id);
}

async function runChecks(key: string, request: { check?: string } = {}) {
  return stand.ended((await parts().quality.runChecks(key, request, ACTOR)).id);
}

const passedOf = (shown: Asset) =>
  Object.fromEntries(shown.checks.map(({ name, passed }) => [name, passed]));

describe('checks', () => {
  it('compare with the versions before, and keep what they said', async () => {
    await materialize('q/orders');
    expect(passedOf(await get('q/orders'))).toEqual({
      ...{ 'row-count-change': true, 'schema-unchanged': true, breaks: false },
    });
    rows = 7;
    column = 'total';
    expect((await materialize('q/orders')).state).toBe('succeeded');
    const shown = await get('q/orders');
    expect(passedOf(shown)).toEqual({
      ...{ 'row-count-change': false, 'schema-unchanged': false, breaks: false },
    });
    const change = shown.checks.find(({ name }) => name === 'row-count-change');
    expect(change?.metadata).toMatchObject({ rows: 7, before: 10, change: -0.3, maxDrop: 0.2 });
    const { items } = await parts().quality.checkResults('q/orders', { check: 'row-count-change' });
    expect(items.map(({ passed }) => passed)).toEqual([false, true]);
    // Run alone, it compares with the same version as before.
    await runChecks('q/orders', { check: 'row-count-change' });
    expect(passedOf(await get('q/orders'))).toMatchObject({ 'row-count-change': false });
  });

  it('mark the asset by their severity', async () => {
    expect((await get('q/orders')).checkState).toBe('failing');
    await materialize('q/orders');
    expect((await get('q/orders')).checkState).toBe('warning');
  });

  it('that throw have failed, with the error', async () => {
    const shown = await get('q/orders');
    expect(shown.checks.find(({ name }) => name === 'breaks')?.metadata).toEqual({
      error: 'RangeError: it cannot tell',
    });
  });

  it('are told to ClickHouse with their severity and facts', async () => {
    const failed = await waitFor(async () => {
      const { assetEvents } = await parts().events.readAfter(null, 10_000);
      const details = assetEvents
        .filter(({ type }) => type === 'check-failed')
        .map(({ detail }) => detail);
      return details.some((detail) => detail.includes('row-count-change')) && details;
    });
    const details = failed.map((detail) => JSON.parse(detail) as Record<string, unknown>);
    expect(details).toContainEqual(
      expect.objectContaining({
        ...{ check: 'row-count-change', severity: 'error', blocking: false },
        metadata: expect.objectContaining({ before: 10 }),
      }),
    );
  });

  it('run alone over the stored value, all of them or one, and make no version', async () => {
    const before = await get('q/orders');
    const all = await runChecks('q/orders');
    expect(all).toMatchObject({ state: 'succeeded', workflow: 'asset-checks' });
    const one = await runChecks('q/orders', { check: 'breaks' });
    const { items } = await parts().quality.checkResults('q/orders', {});
    expect(items.filter(({ runId }) => runId === all.id)).toHaveLength(3);
    expect(items.filter(({ runId }) => runId === one.id).map((item) => item.check)).toEqual([
      'breaks',
    ]);
    expect((await get('q/orders')).lastMaterialization?.id).toBe(before.lastMaterialization?.id);
    await expect(runChecks('q/orders', { check: 'nobody' })).rejects.toThrow('has no check');
    await expect(runChecks('q/below')).rejects.toThrow('no code here has a check');
    await expect(runChecks('q/unknown')).rejects.toThrow('asset q/unknown');
  });

  it('of another file block the version as those of the asset do', async () => {
    expect((await materialize('q/guarded')).state).toBe('succeeded');
    const before = await get('q/guarded');
    expect(before.checks).toMatchObject([{ name: 'guard', passed: true, blocking: true }]);
    fresh = false;
    expect((await materialize('q/guarded')).state).toBe('failed');
    expect((await runChecks('q/guarded')).state).toBe('succeeded');
    fresh = true;
    const after = await get('q/guarded');
    expect(after.checkState).toBe('failing');
    expect(after.lastMaterialization?.id).toBe(before.lastMaterialization?.id);
  });

  it('look at assets that no code here makes', async () => {
    expect(await get('dbt/table')).toMatchObject({ external: true, checkState: 'unknown' });
    expect((await runChecks('dbt/table')).state).toBe('succeeded');
    expect(await get('dbt/table')).toMatchObject({
      checkState: 'warning',
      checks: [{ name: 'external-age', passed: false, metadata: { ageMs: 5 } }],
    });
  });
});

describe('facts', () => {
  it('have a history by name', async () => {
    const points = await parts().quality.metadataHistory('q/orders', 'rows', 10);
    expect(points.map(({ entry }) => entry)).toEqual([
      { type: 'number', value: 7 },
      { type: 'number', value: 7 },
      { type: 'number', value: 10 },
    ]);
    const [link] = await parts().quality.metadataHistory('q/orders', 'source', 1);
    expect(link?.entry).toEqual({ type: 'url', value: 'https://example.org/o' });
    expect(await parts().quality.metadataHistory('q/orders', 'nothing', 10)).toEqual([]);
  });
});

describe('observations', () => {
  it('tell how new data made elsewhere is, without a version of it', async () => {
    const run = await materialize('erp/invoices');
    expect(run.state).toBe('succeeded');
    const shown = await get('erp/invoices');
    expect(shown).toMatchObject({ freshness: 'fresh', lastMaterialization: null });
    expect(shown.lastObservation).toMatchObject({ dataVersion: 'a' });
    const [first] = (await parts().quality.observations('erp/invoices', {})).items;
    expect(first).toMatchObject({ runId: run.id, metadata: { files: 1 } });
  });

  it('leave the time of the data where its version is the same', async () => {
    await materialize('erp/invoices');
    const { items } = await parts().quality.observations('erp/invoices', {});
    expect(items[0]?.at).toBe(items[1]?.at);
    dataVersion = undefined;
    eventTime = new Date(Date.parse(items[0]?.recordedAt ?? '') - 3 * 86_400_000);
    await materialize('erp/invoices');
    expect((await get('erp/invoices')).lastObservation?.at).toBe(eventTime.toISOString());
  });

  it('are no input of what depends on them, and do not hinder it', async () => {
    expect((await materialize('q/below')).state).toBe('succeeded');
    expect(inputsSeen).toEqual([undefined]);
  });

  it('are scheduled', async () => {
    const { schedule } = await parts().workflows.get('erp/invoices');
    expect(schedule).toMatchObject({ cron: '0 */6 * * *' });
  });
});

describe('reports from outside', () => {
  it('make versions, once a key', async () => {
    const report = {
      ...{ eventTime: '2026-01-02T03:04:05Z', metadata: { rows: 3 }, idempotencyKey: 'load-1' },
      checks: [{ name: 'row-count', passed: false, severity: 'warn' as const }],
    };
    const first = await parts().quality.reportMaterialization('ext/loaded', report, ACTOR);
    const again = await parts().quality.reportMaterialization('ext/loaded', report, ACTOR);
    expect([first.created, again.created]).toEqual([true, false]);
    expect(again.materialization.id).toBe(first.materialization.id);
    expect(await get('ext/loaded')).toMatchObject({
      ...{ external: true, checkState: 'warning' },
      lastMaterialization: { at: '2026-01-02T03:04:05.000Z', provenance: 'observed' },
    });
    const { items } = await parts().assets.materializations('ext/loaded', {});
    expect(items).toHaveLength(1);
  });

  it('record observations, once a key', async () => {
    const report = { dataVersion: 'v1', idempotencyKey: 'look-1' };
    const both = await Promise.all(
      [1, 2].map(() => parts().quality.reportObservation('ext/seen', report, ACTOR)),
    );
    expect(both.map(({ created }) => created).sort()).toEqual([false, true]);
    expect(new Set(both.map(({ observation }) => observation.id)).size).toBe(1);
    expect(await get('ext/seen')).toMatchObject({
      freshness: 'fresh',
      lastObservation: { dataVersion: 'v1' },
    });
  });

  it('refuse a time that is none', async () => {
    const report = { eventTime: '2999-01-01T00:00:00Z' };
    await expect(
      parts().quality.reportObservation('ext/seen', report, ACTOR),
    ).rejects.toMatchObject({ code: 'invalid-time' });
  });
});

it('a check that needs rows says so of a value that has none', async () => {
  const options = { checks: [rowCount({ min: 1 })], queue: 'odd' };
  const odd = asset('q/odd', options, () => ({ no: 'rows' }));
  await stand.start([odd], { name: 'odd', queues: ['odd'] });
  await materialize('q/odd');
  expect((await get('q/odd')).checks[0]?.metadata).toEqual({
    error: 'TypeError: the value is no list of rows',
  });
});
