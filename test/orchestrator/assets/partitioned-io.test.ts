/** Partitions of assets in the user's own PostgreSQL: each is replaced by itself. */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  asset,
  jsonFile,
  postgresTable,
  rowCount,
  staticPartitions,
} from '../../../orchestrator/index.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: AgentStand;
let warehouse: TestPostgres;
let folder: TempDir;
let count = 2;

beforeAll(async () => {
  warehouse = await startTestPostgres();
  folder = await makeTempDir('partitioned');
  stand = await startAgentStand();
  const regions = staticPartitions(['eu', 'us']);
  const sales = asset(
    'lake/sales',
    {
      partitions: regions,
      io: postgresTable({ connection: warehouse.url, schema: 'lake' }),
      checks: [rowCount({ min: 1, blocking: true })],
    },
    async function* (ctx) {
      for (let id = 0; id < count; id += 1) yield { id, name: `${ctx.partitionKey} ${id}` };
    },
  );
  const sums = asset(
    'lake/sums',
    {
      ...{ partitions: regions, partitionRuns: 'range', dependsOn: { sales } },
      io: jsonFile({ directory: folder.path }),
    },
    async (ctx) => Object.fromEntries(ctx.partitionKeys.map((key) => [key, { region: key }])),
  );
  const names = asset(
    'lake/names',
    { partitions: regions, dependsOn: { sales } },
    async (_ctx, inputs) => {
      const all: string[] = [];
      for await (const row of inputs.sales) all.push(row.name);
      return all;
    },
  );
  await stand.start([sales, sums, names]);
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
  await folder.remove();
  await warehouse.stop();
});

async function make(key: string, partitions: readonly string[]) {
  const { assets } = stand.stand.orchestrator;
  const { runs } = await assets.materializePartitions(key, { partitions }, ACTOR);
  return Promise.all(runs.map(({ id }) => stand.ended(id)));
}

async function table(): Promise<unknown> {
  const client = new pg.Client({ connectionString: warehouse.url });
  await client.connect();
  try {
    const found = await client.query<Record<string, unknown>>(
      'SELECT partition_key AS region, count(*)::int AS rows FROM lake.lake_sales GROUP BY 1 ORDER BY 1',
    );
    return found.rows;
  } finally {
    await client.end();
  }
}

it('partitions stand beside each other in one table, and each is replaced by itself', async () => {
  const runs = await make('lake/sales', ['eu', 'us']);
  expect(runs.map(({ state, error }) => [state, error])).toEqual([
    ['succeeded', null],
    ['succeeded', null],
  ]);
  count = 5;
  await make('lake/sales', ['us']);
  expect(await table()).toEqual([
    { region: 'eu', rows: 2 },
    { region: 'us', rows: 5 },
  ]);
});

it('a refused partition leaves what its table has', async () => {
  count = 0;
  const [run] = await make('lake/sales', ['us']);
  expect(run?.state).toBe('failed');
  expect(await table()).toContainEqual({ region: 'us', rows: 5 });
});

it('a partition reads the partition of its upstream, as a stream', async () => {
  const [run] = await make('lake/names', ['eu']);
  expect(await stand.results(run?.id ?? '')).toEqual({ 'lake/names': ['eu 0', 'eu 1'] });
});

it('a run of several partitions keeps each in its own place', async () => {
  const [run] = await make('lake/sums', ['eu', 'us']);
  expect(run?.state).toBe('succeeded');
  const { items } = await stand.stand.orchestrator.assets.materializations('lake/sums', {});
  const paths = items.map(({ partition, stored }) => [partition, stored?.location['path']]);
  expect(new Map(paths as [string, string][])).toEqual(
    new Map([
      ['eu', expect.stringContaining('partition=eu')],
      ['us', expect.stringContaining('partition=us')],
    ]),
  );
  await waitFor(async () => (await stand.stand.orchestrator.runs.get(run?.id ?? '')).finishedAt);
});
