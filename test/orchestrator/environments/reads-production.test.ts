/** What a branch reads and writes: production's versions where it has none, and places of its own. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qualify } from '../../../domain/environment.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import {
  type Asset,
  asset,
  clickhouseTable,
  daily,
  type IoManager,
  jsonFile,
  parquetFile,
  postgresTable,
} from '../../../orchestrator/index.ts';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { ACTOR, type EnvironmentStand, startEnvironments } from './stand.ts';

let stand: EnvironmentStand;
let folder: TempDir;
let clickhouse: TestClickHouse;
let client: pg.Client;
const shelf = new Map<string, unknown>();

/** Of a user's own, without another place. */
const own: IoManager = {
  kind: 'shelf',
  write: (_context, value: unknown) => {
    shelf.set('total', value);
  },
  read: () => shelf.get('total'),
};

function upstream(where: string): readonly Asset<unknown>[] {
  const rows = () => [{ id: 1, where }];
  return [
    asset('shop/json', { io: jsonFile({ directory: folder.path }) }, rows),
    asset('shop/parquet', { io: parquetFile({ directory: folder.path }) }, rows),
    asset('shop/pg', { io: postgresTable({ connection: url(), table: 'orders' }) }, rows),
    asset('shop/named', { io: postgresTable({ connection: url() }) }, rows),
    asset('shop/ch', { io: clickhouseTable({ url: clickhouseUrl(), table: 'orders' }) }, rows),
    asset(
      'shop/days',
      {
        io: postgresTable({ connection: url(), table: 'days' }),
        partitions: daily({ start: '2024-01-01', end: '2024-01-04' }),
      },
      (ctx) => [{ day: ctx.partitionKey, where }],
    ),
    asset('shop/own', { io: own }, () => where),
  ];
}

function downstream(): readonly Definition[] {
  const [json, parquet, pgTable, named, ch, days] = upstream('nobody') as readonly Asset<unknown>[];
  if (!json || !parquet || !pgTable || !named || !ch || !days) throw new Error('too few assets');
  const dependsOn = { json, parquet, pg: pgTable, named, ch, days };
  return [asset('shop/all', { dependsOn }, (_ctx, inputs) => inputs)];
}

function url(): string {
  return stand.base.stand.postgres.url;
}

function clickhouseUrl(): string {
  const { writer } = clickhouse;
  return clickhouse.url.replace('//', `//${writer.username}:${writer.password}@`);
}

const KEYS = ['json', 'parquet', 'pg', 'named', 'ch'] as const;

async function makeDay(environment: string | null, day: string): Promise<void> {
  const made = await stand.base.stand.orchestrator.assets.materializePartitions(
    ...([qualify(environment, 'shop/days'), { partitions: [day] }, ACTOR] as const),
  );
  const run = await stand.base.ended(made.runs[0]?.id ?? '');
  expect(run.error).toBeNull();
}

/** What the asset of the branch is made from. */
async function read(environment: string): Promise<Record<string, unknown>> {
  const run = await stand.make(environment, 'shop/all');
  expect(run.error).toBeNull();
  return (await stand.base.results(run.id))[qualify(environment, 'shop/all')] as Record<
    string,
    unknown
  >;
}

beforeAll(async () => {
  stand = await startEnvironments();
  folder = await makeTempDir('environments');
  clickhouse = await startTestClickHouse();
  client = new pg.Client({ connectionString: url() });
  await client.connect();
  await stand.agent(null, [...upstream('production'), ...downstream()]);
  for (const key of KEYS) {
    expect((await stand.make(null, `shop/${key}`)).error).toBeNull();
  }
  for (const day of ['2024-01-01', '2024-01-02', '2024-01-03']) await makeDay(null, day);
}, 60_000);
afterAll(async () => {
  await client.end();
  await stand[Symbol.asyncDispose]();
  await clickhouse.stop();
  await folder.remove();
});

describe('A branch that made nothing yet', () => {
  it('reads production’s latest versions out of each kind of store, and the run says so', async () => {
    await stand.create('reads');
    await stand.agent('reads', [...upstream('reads'), ...downstream()]);
    const inputs = await read('reads');
    for (const key of KEYS) expect(inputs[key], key).toEqual([{ id: 1, where: 'production' }]);
    const { orchestrator } = stand.base.stand;
    const { items } = await orchestrator.runs.list({ environment: 'reads' });
    const told = await orchestrator.environments.readsOf(items[0]?.id ?? '');
    expect(told.map(({ asset: key }) => key)).toEqual(
      expect.arrayContaining(KEYS.map((key) => `shop/${key}`)),
    );
    const versions = await orchestrator.assets.materializations(qualify('reads', 'shop/all'), {});
    const names = versions.items[0]?.inputs?.map(({ assetKey }) => assetKey) ?? [];
    expect(names).toContain('shop/json');
    expect(names.every((name) => !name.startsWith('~'))).toBe(true);
  });

  it('reads nothing of production where that was turned off', async () => {
    await stand.create('alone', { settings: { fallback: false } });
    await stand.agent('alone', [...upstream('alone'), ...downstream()]);
    const run = await stand.make('alone', 'shop/all');
    expect(run.state).toBe('failed');
    expect(run.error?.message).toMatch(/materialize it first/);
  });
});

describe('What a branch makes', () => {
  it('goes into places of its own; production’s files and tables stay as they were', async () => {
    await stand.create('writes');
    await stand.agent('writes', [...upstream('writes'), ...downstream()]);
    for (const key of KEYS) {
      expect((await stand.make('writes', `shop/${key}`)).error, key).toBeNull();
    }
    await makeDay('writes', '2024-01-02');
    const inputs = await read('writes');
    for (const key of KEYS) expect(inputs[key], key).toEqual([{ id: 1, where: 'writes' }]);
    const days = inputs['days'] as Record<string, readonly { where: string }[]>;
    expect(Object.entries(days).map(([day, [row]]) => [day, row?.where])).toEqual(
      expect.arrayContaining([
        ['2024-01-01', 'production'],
        ['2024-01-02', 'writes'],
        ['2024-01-03', 'production'],
      ]),
    );
    for (const table of ['orders', 'shop_named']) {
      const { rows } = await client.query(`SELECT * FROM public.${table}`);
      expect(rows, table).toEqual([{ id: '1', where: 'production' }]);
    }
    const { rows } = await client.query('SELECT day, "where" FROM public.days ORDER BY day');
    expect(rows.map(({ where }) => where)).toEqual(['production', 'production', 'production']);
    const tables = await client.query(
      `SELECT relname FROM pg_class WHERE relname ~ '__env_writes_' AND relkind = 'r' ORDER BY 1`,
    );
    expect(tables.rows).toHaveLength(3);
    const answer = await fetch(`${clickhouse.url}/?query=SELECT+where+FROM+default.orders`, {
      headers: {
        authorization: `Basic ${btoa(`${clickhouse.writer.username}:${clickhouse.writer.password}`)}`,
      },
    });
    expect((await answer.text()).trim()).toBe('production');
    const { version } = JSON.parse(
      await readFile(join(folder.path, 'shop', 'json', 'current.json'), 'utf8'),
    ) as { version: string };
    const [newest] = (await stand.base.stand.orchestrator.assets.materializations('shop/json', {}))
      .items;
    expect(version).toBe(newest?.runId);
    expect(await readdir(folder.path)).toEqual(expect.arrayContaining(['shop', '~writes']));
  });

  it('is seen by nobody in production, whatever is newer', async () => {
    const { assets } = stand.base.stand.orchestrator;
    const production = await assets.get('shop/json');
    const branch = await assets.get(qualify('writes', 'shop/json'));
    expect(Date.parse(branch.lastMaterialization?.at ?? '')).toBeGreaterThan(
      Date.parse(production.lastMaterialization?.at ?? ''),
    );
    const run = await stand.make(null, 'shop/all');
    const inputs = (await stand.base.results(run.id))['shop/all'] as Record<string, unknown>;
    expect(inputs['json']).toEqual([{ id: 1, where: 'production' }]);
  });

  it('is refused where an IO manager has no place but production’s', async () => {
    await stand.make(null, 'shop/own');
    expect(shelf.get('total')).toBe('production');
    const run = await stand.make('writes', 'shop/own');
    expect(run.state).toBe('failed');
    expect(run.error?.message).toMatch(/inEnvironment/);
    expect(shelf.get('total')).toBe('production');
  });
});
