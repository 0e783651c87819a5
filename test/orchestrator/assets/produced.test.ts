/** Assets that tasks of workflows make and read: kept by IO managers, checked, large, of partitions. */
import { join } from 'node:path';
import {
  asset,
  externalAsset,
  jsonFile,
  parquetFile,
  postgresTable,
  rowCount,
  staticPartitions,
  workflow,
} from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileStore } from '../../../orchestrator/results/file-store.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let warehouse: TestPostgres;
let folder: TempDir;
let stand: AgentStand;
let count = 3;
const LARGE = 'x'.repeat(3_000_000);

beforeAll(async () => {
  warehouse = await startTestPostgres();
  folder = await makeTempDir('produced');
  stand = await startAgentStand({ resultStore: fileStore(join(folder.path, 'store')) });
  const regions = staticPartitions(['eu', 'us']);
  const orders = externalAsset<{ id: number }[]>('prod/orders', {
    io: postgresTable({ connection: warehouse.url, table: 'orders' }),
    checks: [rowCount({ min: 1, blocking: true })],
  });
  const rows = externalAsset('prod/rows', { io: parquetFile({ directory: folder.path }) });
  const sales = externalAsset<{ region: string }>('prod/sales', {
    ...{ partitions: regions, io: jsonFile({ directory: folder.path }) },
  });
  const big = externalAsset<{ text: string }>('prod/big');
  const small = externalAsset<number>('prod/small');
  const total = asset('prod/total', { dependsOn: { big } }, (_ctx, inputs) => ({
    characters: inputs.big.text.length,
    text: LARGE,
  }));
  const after = asset('prod/after', { dependsOn: { total } }, (_ctx, inputs) => ({
    length: (inputs.total as { text: string }).text.length,
  }));
  const load = workflow('load', {}, (w) => {
    const fetched = w.task('fetch', { produces: [orders] }, () =>
      Array.from({ length: count }, (_, id) => ({ id })),
    );
    w.task('read', { after: [fetched], consumes: [orders] }, async (ctx) => ({
      fromAsset: (await ctx.load(orders)).length,
      fromTask: (await ctx.result(fetched)).length,
    }));
    w.task('unnamed', { after: [fetched] }, (ctx) => ctx.load(orders));
  });
  const several = workflow('several', {}, (w) => {
    const made = w.task('make', { produces: [big, small] }, () => ({
      'prod/big': { text: LARGE },
      'prod/small': 7,
    }));
    w.task('read', { after: [made], consumes: [big, small] }, async (ctx) => ({
      characters: (await ctx.load(big)).text.length,
      small: await ctx.load(small),
    }));
  });
  const stream = workflow('stream', {}, (w) => {
    const made = w.task('make', { produces: [rows] }, async function* () {
      for (let id = 0; id < 5; id += 1) yield { id };
    } as unknown as () => AsyncIterable<{ id: number }>);
    w.task('read', { after: [made], consumes: [rows] }, async (ctx) => {
      let sum = 0;
      for await (const row of (await ctx.load(rows)) as AsyncIterable<{ id: number }>)
        sum += row.id;
      return sum;
    });
  });
  const regional = workflow('regional', {}, (w) => {
    const made = w.task('make', { produces: [sales] }, (ctx) => {
      const values = ctx.partitionKeys.map((region) => [region, { region }] as const);
      return values.length === 1 ? values[0]?.[1] : Object.fromEntries(values);
    });
    w.task('read', { after: [made], consumes: [sales] }, (ctx) => ctx.load(sales));
    w.task('other', { after: [made], consumes: [sales] }, (ctx) =>
      ctx.load(sales, { partition: 'eu' }),
    );
  });
  await stand.start([
    ...[orders, rows, sales, big, small, total, after],
    ...[load, several, stream, regional],
  ]);
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
  await folder.remove();
  await warehouse.stop();
});

const assets = () => stand.stand.orchestrator.assets;

describe('an asset that a task of a workflow makes', () => {
  it('is kept by its IO manager, and read from there by tasks that name it in consumes', async () => {
    const run = await stand.run('load');
    const results = await stand.results(run.id);
    expect(results['read']).toEqual({ fromAsset: 3, fromTask: 3 });
    expect(run).toMatchObject({ error: { message: /name it in "consumes"/ } });
    expect((await assets().get('prod/orders')).lastMaterialization).toMatchObject({
      runId: run.id,
      stored: { kind: 'postgres-table', rows: 3, location: { table: 'orders' } },
      metadata: { rows: 3 },
    });
    expect((await assets().get('prod/orders')).checks).toMatchObject([
      { name: 'row-count', passed: true },
    ]);
  });

  it('is refused by a blocking check, and the last good version stays', async () => {
    count = 0;
    const run = await stand.run('load');
    count = 3;
    expect(run).toMatchObject({
      state: 'failed',
      error: { message: /fetch: .*prod\/orders.*row-count/ },
    });
    const { lastMaterialization, checkState } = await assets().get('prod/orders');
    expect(lastMaterialization).toMatchObject({ metadata: { rows: 3 } });
    expect(checkState).toBe('failing');
  });

  it('may be of megabytes, beside others of the same task', async () => {
    const run = await stand.run('several');
    expect(run).toMatchObject({ state: 'succeeded' });
    expect((await stand.results(run.id))['read']).toEqual({ characters: 3_000_000, small: 7 });
    const first = (await assets().get('prod/big')).lastMaterialization;
    await stand.run('several');
    const second = (await assets().get('prod/big')).lastMaterialization;
    expect(second?.id).not.toBe(first?.id);
    expect(second?.dataVersion).toBe(first?.dataVersion);
    const { id } = await assets().materialize(['prod/total'], { downstream: true }, ACTOR);
    expect(await stand.ended(id)).toMatchObject({ state: 'succeeded', error: null });
    expect((await stand.results(id))['prod/after']).toEqual({ length: 3_000_000 });
  });

  it('may come as a stream of rows', async () => {
    const run = await stand.run('stream');
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    expect((await stand.results(run.id))['read']).toBe(10);
  });

  it('has the partitions of its run, each kept by itself; of several the range', async () => {
    const one = await assets().materializePartitions('prod/sales', { partitions: ['us'] }, ACTOR);
    const [us] = one.runs;
    await stand.ended(us?.id ?? '');
    expect((await stand.results(us?.id ?? ''))['read']).toEqual({ region: 'us' });
    const request = { partitions: 'all' as const, single: true };
    const both = await assets().materializePartitions('prod/sales', request, ACTOR);
    const run = await stand.ended(both.runs[0]?.id ?? '');
    expect(run).toMatchObject({ state: 'succeeded', error: null });
    const results = await stand.results(run.id);
    expect(results['read']).toEqual({ eu: { region: 'eu' }, us: { region: 'us' } });
    expect(results['other']).toEqual({ region: 'eu' });
    const { items } = await assets().materializations('prod/sales', {});
    expect(
      items
        .slice(0, 2)
        .map(({ partition, stored }) => [partition, stored?.kind])
        .sort(),
    ).toEqual([
      ['eu', 'json-file'],
      ['us', 'json-file'],
    ]);
  });

  it('says which of its checks can be asked for', async () => {
    const { quality } = stand.stand.orchestrator;
    await expect(quality.runChecks('prod/orders', {}, ACTOR)).rejects.toThrow(
      'only a check that stands by itself',
    );
  });
});
