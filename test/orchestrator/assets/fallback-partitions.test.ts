/** A fallback while partitions cannot be made: the last good version of the same partition, told as what it is. */
import { asset, jsonFile, postgresTable, staticPartitions } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
const KINDS = ['inline', 'file', 'table'] as const;
let stand: AgentStand;
let warehouse: TestPostgres;
let folder: TempDir;
let failing = new Set<string>();
let round = 0;

beforeAll(async () => {
  warehouse = await startTestPostgres();
  folder = await makeTempDir('fallback');
  stand = await startAgentStand();
  const partitions = staticPartitions(['eu', 'us', 'za']);
  const managers = {
    inline: {},
    file: { io: jsonFile({ directory: folder.path }) },
    table: { io: postgresTable({ connection: warehouse.url, table: 'raw' }) },
  };
  const definitions = KINDS.flatMap((kind) => {
    const raw = asset(
      `fb/${kind}`,
      { partitions, fallback: 'last-good' as const, ...managers[kind] },
      (ctx) => {
        if (failing.has(ctx.partitionKey)) throw new Error('the source is down');
        return [{ round, region: ctx.partitionKey }];
      },
    );
    const read = asset(`fb/${kind}-read`, { partitions, dependsOn: { raw } }, (ctx, inputs) => ({
      rows: inputs.raw,
      degraded: ctx.degraded('raw'),
      from: ctx.fallbacks('raw').map(({ partition }) => partition),
    }));
    return [raw, read];
  });
  await stand.start(definitions);
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
  await folder.remove();
  await warehouse.stop();
});

async function make(key: string, partition: string) {
  const { assets } = stand.stand.orchestrator;
  const { runs } = await assets.materializePartitions(key, { partitions: [partition] }, ACTOR);
  return stand.ended(runs[0]?.id ?? '');
}

async function read(kind: string, partition: string) {
  const run = await make(`fb/${kind}-read`, partition);
  expect([run.state, run.error]).toEqual(['succeeded', null]);
  return (await stand.results(run.id))[`fb/${kind}-read`];
}

async function states(key: string) {
  const { items } = await stand.stand.orchestrator.assets.partitions(key, { order: 'oldest' });
  return Object.fromEntries(items.map((one) => [one.key, one.state]));
}

describe.each(KINDS)('%s', (kind) => {
  it('a partition that fails gives its own last good version, degraded, until it is made again', async () => {
    const key = `fb/${kind}`;
    failing = new Set();
    round = 1;
    await make(key, 'eu');
    await make(key, 'us');
    round = 2;
    await make(key, 'us');
    failing = new Set(['eu', 'za']);
    expect((await make(key, 'eu')).state).toBe('failed');
    expect((await make(key, 'za')).state).toBe('failed');
    const { assets } = stand.stand.orchestrator.levers;
    expect((await assets.serveFallback(key, 'source down', `${key}/1`)).outcome).toBe('done');

    expect(await read(kind, 'eu')).toEqual({
      ...{ rows: [{ round: 1, region: 'eu' }], degraded: true, from: ['eu'] },
    });
    expect(await read(kind, 'us')).toEqual({
      ...{ rows: [{ round: 2, region: 'us' }], degraded: false, from: [] },
    });
    // It was never made: the version that is served stands in for it, and is told as that.
    expect(await read(kind, 'za')).toEqual({
      ...{ rows: [{ round: 2, region: 'us' }], degraded: true, from: ['us'] },
    });
    expect(await states(`fb/${kind}-read`)).toEqual({
      eu: 'degraded',
      us: 'fresh',
      za: 'degraded',
    });

    failing = new Set();
    round = 3;
    await make(key, 'eu');
    await make(key, 'za');
    expect(await read(kind, 'eu')).toMatchObject({ degraded: false, from: [] });
    expect(await read(kind, 'za')).toMatchObject({ rows: [{ round: 3, region: 'za' }], from: [] });
    expect(await states(`fb/${kind}-read`)).toEqual({ eu: 'fresh', us: 'fresh', za: 'fresh' });
    const found = await stand.stand.orchestrator.assets.get(key);
    expect([found.freshness, found.lastMaterialization?.provenance]).toEqual(['fresh', 'computed']);
  });
});
