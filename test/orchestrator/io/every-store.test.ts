/** What holds for every IO manager, each with the real thing behind it. */
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IoManager } from '../../../orchestrator/define/io.ts';
import {
  clickhouseTable,
  jsonFile,
  parquetFile,
  postgresTable,
} from '../../../orchestrator/index.ts';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { read, stage, streamOf, write } from './contexts.ts';

let postgres: TestPostgres;
let clickhouse: TestClickHouse;
let folder: TempDir;

beforeAll(async () => {
  postgres = await startTestPostgres();
  clickhouse = await startTestClickHouse();
  folder = await makeTempDir('io');
});
afterAll(async () => {
  await clickhouse.stop();
  await postgres.stop();
  await folder.remove();
});

let made = 0;

/** Each call gives a manager with a place of its own. */
const MANAGERS: readonly [string, (table?: string) => IoManager][] = [
  ['jsonFile', () => jsonFile({ directory: join(folder.path, `json-${++made}`) })],
  ['parquetFile', () => parquetFile({ directory: join(folder.path, `parquet-${++made}`) })],
  [
    'postgresTable',
    (table = `t${++made}`) => postgresTable({ connection: postgres.url, schema: 'lake', table }),
  ],
  [
    'clickhouseTable',
    (table = `t${++made}`) => {
      const { username, password } = clickhouse.writer;
      const url = clickhouse.url.replace('//', `//${username}:${password}@`);
      return clickhouseTable({ url, table, orderBy: ['id'] });
    },
  ],
];

const byId = (rows: unknown) => [...(rows as { id: number }[])].sort((a, b) => a.id - b.id);

const ORDERS = [
  { id: 1, name: 'a"\\\'\n`; DROP TABLE x', price: 1.5, paid: true, tags: ['x', { y: 1 }] },
  { id: 2, name: 'ünïcode ✓', price: -2, paid: false, tags: [] },
  { id: 9_007_199_254_740_991, name: null, price: null, paid: null, tags: null },
];

describe.each(MANAGERS)('%s', (kind, make) => {
  it('gives back what was written, and says where it is', async () => {
    const io = make();
    const written = await write(io, ORDERS);
    expect(byId(await read(io, written))).toEqual(ORDERS);
    expect(written.rows).toBe(3);
    expect(written.sizeBytes).toBeGreaterThan(10);
    expect(written.schema?.map(({ name }) => name)).toEqual([
      'id',
      'name',
      'price',
      'paid',
      'tags',
    ]);
    expect(JSON.stringify(written.location)).not.toContain('password');
  });

  it('shows the version before until the new one is published, and after it was discarded', async () => {
    const io = make();
    const first = await write(io, [{ id: 1, name: 'first' }]);
    const staged = await stage(io, [{ id: 2, name: 'second' }]);
    expect(await staged.read()).toEqual([{ id: 2, name: 'second' }]);
    expect(await read(io, first)).toEqual([{ id: 1, name: 'first' }]);
    await staged.discard();
    expect(await read(io, first)).toEqual([{ id: 1, name: 'first' }]);
    const third = await write(io, [{ id: 3, name: 'third' }]);
    expect(await read(io, third)).toEqual([{ id: 3, name: 'third' }]);
  });

  it('gives the same where the same version is written twice', async () => {
    const io = make();
    const again = { versionId: 'same' };
    await write(io, streamOf(10), again);
    const written = await write(io, streamOf(10), { ...again, attempt: 2 });
    expect(byId(await read(io, written, { stream: true }))).toHaveLength(10);
  });

  it('leaves the last good version where the rows break off', async () => {
    const io = make();
    const first = await write(io, streamOf(3));
    async function* broken() {
      yield* streamOf(30_000);
      throw new Error('the source broke off');
    }
    await expect(stage(io, broken())).rejects.toThrow('the source broke off');
    expect(byId(await read(io, first, { stream: true }))).toHaveLength(3);
  });

  it('keeps one version whole where two writers publish at once', async () => {
    const io = make();
    const sizes = [2_000, 3_000];
    const written = await Promise.all(sizes.map((size) => write(io, streamOf(size))));
    const [one] = written;
    if (one === undefined) throw new Error('nothing was written');
    const rows = byId(await read(io, one, { stream: true }));
    expect(sizes).toContain(rows.length);
    expect(rows.at(-1)?.id).toBe(rows.length - 1);
  });

  it('stops writing when the attempt is told to stop', async () => {
    const io = make();
    const first = await write(io, streamOf(3));
    const abort = new AbortController();
    async function* endless() {
      for (let from = 0; ; from += 1_000) {
        yield* streamOf(1_000, from);
        if (from === 40_000) abort.abort(new Error('told to stop'));
      }
    }
    await expect(stage(io, endless(), { signal: abort.signal })).rejects.toThrow(
      /told to stop|abort/i,
    );
    expect(byId(await read(io, first, { stream: true }))).toHaveLength(3);
  });

  it('keeps partitions apart', async () => {
    const io = make();
    const days = ['2026-01-01', "x' OR '1'='1"];
    const written = await Promise.all(
      days.map((partitionKey, index) => write(io, [{ id: index, name: 'n' }], { partitionKey })),
    );
    await write(io, [{ id: 7, name: 'again' }], { partitionKey: days[0] ?? '' });
    const second = written[1];
    if (second === undefined) throw new Error('nothing was written');
    expect(await read(io, second, { partitionKey: days[1] ?? '' })).toEqual([{ id: 1, name: 'n' }]);
  });

  it('keeps no rows as no rows once the columns are known', async () => {
    const io = make();
    if (kind === 'jsonFile') return expect(await read(io, await write(io, []))).toEqual([]);
    await expect(stage(io, [])).rejects.toThrow('name them with "columns"');
    return undefined;
  });
});

describe('postgresTable', () => {
  const query = async (sql: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  };

  it('keeps the table’s grants, views and types where its columns are the same', async () => {
    await query(`CREATE TABLE mine (id int PRIMARY KEY, amount numeric(10,2), day date);
                 CREATE VIEW seen AS SELECT sum(amount) AS total FROM mine`);
    const io = postgresTable({ connection: postgres.url, table: 'mine' });
    const rows = [{ id: 1, amount: 2.5, day: '2026-01-01' }];
    await write(io, rows);
    await write(io, [...rows, { id: 2, amount: 4, day: '2026-01-02' }]);
    expect(await query('SELECT total::float8 FROM seen')).toEqual([{ total: 6.5 }]);
  });

  it('takes hostile column names as names and hostile tables not at all', async () => {
    const io = postgresTable({ connection: postgres.url, table: 'hostile' });
    const row = { 'a"); DROP TABLE mine; --': 1, "it's": 'x', [`back\`tick`]: true };
    const written = await write(io, [row]);
    expect(await read(io, written)).toEqual([row]);
    for (const table of ['a"b', 'a; DROP TABLE b', '', 'x'.repeat(64)]) {
      expect(() => postgresTable({ connection: postgres.url, table })).toThrow('must be a name');
    }
    await expect(stage(io, [{ ['x'.repeat(64)]: 1 }])).rejects.toThrow('63 printable bytes');
  });

  it('says which row and column does not fit', async () => {
    const io = postgresTable({ connection: postgres.url, table: 'odd' });
    async function* rows() {
      yield* streamOf(1_500);
      yield { id: 'x', name: 'y', price: 1 };
    }
    await expect(stage(io, rows())).rejects.toThrow(/row 1501: "id" is "x".*integer/);
  });
});

describe('clickhouseTable', () => {
  it('takes hostile column names as names and hostile tables not at all', async () => {
    const [, make] = MANAGERS[3] ?? [];
    const io = make?.('hostile');
    if (io === undefined) throw new Error('no manager');
    const row = { id: 1, 'a`); DROP TABLE t; --': 'x', "it's": "\\'; DROP TABLE t" };
    expect(await read(io, await write(io, [row]))).toEqual([row]);
    expect(() => clickhouseTable({ url: 'http://h:1', table: 'a`b' })).toThrow('must be a name');
    expect(() => clickhouseTable({ url: 'file:///x' })).toThrow('must be an address');
  });
});
