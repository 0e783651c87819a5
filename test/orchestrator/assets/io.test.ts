/** Assets whose values IO managers keep, with a real agent and real files. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  asset,
  check,
  duplicateRate,
  type IoManager,
  jsonFile,
  md,
  parquetFile,
  type Row,
  rowCount,
} from '../../../orchestrator/index.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: AgentStand;
let folder: TempDir;
const seen: Record<string, unknown> = {};
const kept = new Map<string, unknown>();
let rows = 4;
let made = 0;

beforeAll(async () => {
  folder = await makeTempDir('asset-io');
  stand = await startAgentStand();
  await stand.start(definitions());
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
  await folder.remove();
});

const own: IoManager = {
  kind: 'shelf',
  write(context, value: unknown) {
    kept.set(context.assetKey, value);
    return { location: { shelf: context.assetKey } };
  },
  read: ({ location }) => kept.get(String(location['shelf'])),
};

function definitions() {
  const orders = asset(
    'shop/orders',
    {
      io: jsonFile({ directory: folder.path }),
      checks: [rowCount({ min: 2, blocking: true })],
    },
    async (ctx) => {
      made += 1;
      ctx.record({ metadata: { preview: md('**orders**'), rows: 'mine' } });
      return Array.from({ length: rows }, (_, id) => ({ id, amount: id * 2, made }));
    },
  );
  const lines = asset(
    'shop/lines',
    {
      dependsOn: { orders },
      io: parquetFile({ directory: folder.path }),
      checks: [
        rowCount({ min: 1 }),
        duplicateRate({ columns: ['id'], max: 0.1 }),
        check('own-code', {}, async (value: AsyncIterable<Row>) => {
          let sum = 0;
          for await (const row of value) sum += Number(row['id']);
          return { passed: sum === 6, metadata: { sum } };
        }),
      ],
    },
    async function* (_ctx, inputs) {
      for (const order of inputs.orders) yield { id: order.id, label: `order ${order.id}` };
    },
  );
  const total = asset('shop/total', { dependsOn: { lines }, io: own }, async (_ctx, inputs) => {
    let count = 0;
    // Twice, as a stream that is read again.
    for await (const line of inputs.lines) count += line.id;
    for await (const line of inputs.lines) count += line.id;
    return { count };
  });
  const report = asset('shop/report', { dependsOn: { total } }, (_ctx, inputs) => {
    seen['total'] = inputs.total;
    return inputs.total.count;
  });
  const stray = asset('shop/stray', {}, async function* () {
    yield { id: 1 };
  });
  return [orders, lines, total, report, stray];
}

async function materialize(...keys: string[]) {
  const run = await stand.stand.orchestrator.assets.materialize(keys, {}, ACTOR);
  return stand.ended(run.id);
}

const newest = async (key: string) =>
  (await stand.stand.orchestrator.assets.get(key)).lastMaterialization;

describe('assets with IO managers', () => {
  it('hand on what each manager keeps, streams as streams', async () => {
    const run = await materialize('shop/orders', 'shop/lines', 'shop/total', 'shop/report');
    expect(run).toMatchObject({ state: 'succeeded' });
    expect(seen['total']).toEqual({ count: 12 });
    expect(await stand.results(run.id)).toMatchObject({ 'shop/report': 12 });
  });

  it('record where a version is, how large it is, and its columns', async () => {
    const orders = await newest('shop/orders');
    expect(orders?.stored).toMatchObject({
      ...{ kind: 'json-file', rows: 4, stream: false },
      location: { path: expect.stringContaining(join('shop', 'orders')) },
    });
    expect(orders?.metadata).toMatchObject({
      preview: { type: 'markdown', value: '**orders**' },
      rows: 'mine',
      bytes: expect.any(Number),
      durationMs: expect.any(Number),
      schema: { type: 'json', value: expect.arrayContaining([{ name: 'id', type: 'integer' }]) },
    });
    expect((await newest('shop/lines'))?.stored).toMatchObject({
      ...{ kind: 'parquet-file', rows: 4, stream: true },
      schema: [
        { name: 'id', type: 'integer' },
        { name: 'label', type: 'text' },
      ],
    });
    expect((await newest('shop/total'))?.stored).toMatchObject({ kind: 'shelf' });
    const shown = await stand.stand.orchestrator.assets.get('shop/lines');
    expect(shown).toMatchObject({ io: 'parquet-file', checkState: 'passing' });
    expect(shown.checks.find(({ name }) => name === 'own-code')?.metadata).toEqual({ sum: 6 });
  });

  it('leave the version that is read where a blocking check refuses a new one', async () => {
    const before = await newest('shop/orders');
    const pointer = join(folder.path, 'shop', 'orders', 'current.json');
    const pointed = await readFile(pointer, 'utf8');
    rows = 1;
    const run = await materialize('shop/orders');
    rows = 4;
    expect(run.state).toBe('failed');
    expect(run.error?.message).toContain('the version was refused by "row-count"');
    expect((await newest('shop/orders'))?.id).toBe(before?.id);
    expect(await readFile(pointer, 'utf8')).toBe(pointed);
    const files = await readdir(join(folder.path, 'shop', 'orders'));
    expect(files.filter((name) => name.startsWith('.'))).toEqual([]);
    expect(await materialize('shop/lines')).toMatchObject({ state: 'succeeded' });
    expect((await stand.stand.orchestrator.assets.get('shop/orders')).checkState).toBe('failing');
  });

  it('tell that a stream needs a manager', async () => {
    const run = await materialize('shop/stray');
    expect(run.error?.message).toContain('need an IO manager: give the asset io');
  });

  it('tell an agent without the manager what to do', async () => {
    const inputs = asset('shop/elsewhere', { dependsOn: ['shop/orders'], queue: 'other' }, () => 1);
    await stand.start([inputs], { queues: ['other'], name: 'other' });
    const run = await materialize('shop/elsewhere');
    expect(run.error?.message).toContain('the value of shop/orders is kept by json-file');
  });
});
