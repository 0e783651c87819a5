/** What becomes of values of every type, of columns that change, and of writers that meet or find no room. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresTable } from '../../../orchestrator/index.ts';
import { startProcess } from '../../support/child-process.ts';
import { read, stage, streamOf, write } from './contexts.ts';
import { KINDS, type Stores, startStores, WRITER } from './stores.ts';

let stores: Stores;

beforeAll(async () => {
  stores = await startStores();
});
afterAll(() => stores[Symbol.asyncDispose]());

const byId = (rows: unknown) => [...(rows as { id: number }[])].sort((a, b) => a.id - b.id);

describe.each(KINDS)('%s', (kind) => {
  it('gives back what was written: large integers, fractions, times, nulls, odd texts and names', async () => {
    const at = new Date('2026-03-29T01:30:00.123Z');
    const rows = [
      { id: 1, big: 2n ** 60n + 1n, part: 0.1, at, 'it’s "a" col.umn': '../ünïcode\n\t"quoted"' },
      { id: 2, big: -(2n ** 62n), part: -1e-9, at: null, 'it’s "a" col.umn': '' },
      { id: 3, big: null, part: null, at, 'it’s "a" col.umn': null },
    ];
    const io = stores.manager(kind, 'types');
    // JSON has neither large integers nor times.
    if (kind === 'jsonFile') {
      await expect(stage(io, rows)).rejects.toThrow(/BigInt/);
      const plain = rows.map(({ big: _, ...row }) => ({ ...row, at: row.at && at.toISOString() }));
      expect(await read(io, await write(io, plain))).toEqual(plain);
      return;
    }
    expect(byId(await read(io, await write(io, rows)))).toEqual(rows);
  });

  it('takes a column that is added, one that is gone, and one of another type', async () => {
    const io = stores.manager(kind, 'drift');
    const versions = [
      [{ id: 1, name: 'a' }],
      [{ id: 2, name: 'b', more: 1.5 }],
      [{ id: 3, more: 2.5 }],
      [{ id: 4, more: 'text' }],
    ];
    for (const rows of versions) {
      expect(await read(io, await write(io, rows))).toEqual(rows);
    }
  });

  it('leaves other partitions whole where the columns of one change', async () => {
    const io = stores.manager(kind, 'part_drift');
    const [a, b] = [{ partitionKey: 'a.b/../"c"' }, { partitionKey: 'ünïcode |' }];
    await write(io, [{ id: 1, name: 'a' }], a);
    const second = await write(io, [{ id: 2, name: 'b', more: 1.5 }], b);
    expect(await read(io, second, b)).toEqual([{ id: 2, name: 'b', more: 1.5 }]);
    expect(await read(io, {}, a)).toMatchObject([{ id: 1, name: 'a' }]);
    const third = await write(io, [{ id: 3, more: 2.5 }], b);
    expect(await read(io, third, b)).toMatchObject([{ id: 3, more: 2.5 }]);
    const retyped = write(io, [{ id: 4, name: 'x', more: 'text' }], b);
    if (kind === 'jsonFile' || kind === 'parquetFile') await retyped;
    else {
      await expect(retyped).rejects.toThrow(/"more".*change its type by hand/);
      expect(await read(io, third, b)).toMatchObject([{ id: 3, more: 2.5 }]);
    }
    expect(await read(io, {}, a)).toMatchObject([{ id: 1, name: 'a' }]);
  });

  it('takes the place of a partition by no rows, once the columns are known', async () => {
    if (kind === 'parquetFile') return;
    const io = stores.manager(kind, 'emptied');
    const of = { partitionKey: 'a' };
    await write(io, [{ id: 1 }], of);
    await write(io, [{ id: 2 }], { partitionKey: 'b' });
    expect(await read(io, await write(io, [], of), of)).toEqual([]);
    expect(await read(io, {}, { partitionKey: 'b' })).toEqual([{ id: 2 }]);
  });

  it('keeps one of two versions whole where two runs write the same partition at once', async () => {
    const io = stores.manager(kind, 'meeting');
    const of = { partitionKey: 'same' };
    const sizes = [1_500, 2_500];
    const written = await Promise.all(sizes.map((size) => write(io, streamOf(size), of)));
    const rows = byId(await read(io, written[0] ?? {}, { ...of, stream: true }));
    expect(sizes).toContain(rows.length);
    expect(rows.at(-1)?.id).toBe(rows.length - 1);
    const current = byId(await read(io, { ...written[0], location: {} }, { ...of, stream: true }));
    expect(sizes).toContain(current.length);
  });
});

describe.each(['jsonFile', 'parquetFile'] as const)('%s', (kind) => {
  it('leaves the last good version, and nothing else, where there is no room for the file', async () => {
    const name = `no_room_${kind}`;
    const io = stores.manager(kind, name);
    const first = await write(io, streamOf(3));
    const order = { kind, options: stores.options(kind, name), versionId: 'v2', attempt: 1 };
    const json = JSON.stringify({ ...order, rows: 200_000, hangAt: null });
    // Files of this process have at most 512 KiB.
    const shell = `ulimit -f 512; exec "$0" "$1" "$2"`;
    const writer = startProcess('bash', ['-c', shell, process.execPath, WRITER, json]);
    expect(await writer.waitForExit()).not.toBe(0);
    expect(writer.stderr()).toMatch(/EFBIG|file too large/i);
    expect(await read(io, first, { stream: true })).toHaveLength(3);
    const files = await readdir(join(stores.folder, name, 'shop', 'orders'));
    expect(files.filter((one) => one.startsWith('.'))).toEqual([]);
    expect(files).toHaveLength(2);
  });
});

it('decimals and dates of a table that was there come back as they were written', async () => {
  const client = new pg.Client({ connectionString: stores.postgresUrl });
  await client.connect();
  await client.query('CREATE TABLE prices (amount numeric(20,4), exact numeric, day date)');
  await client.end();
  const io = postgresTable({ connection: stores.postgresUrl, table: 'prices' });
  const rows = [{ amount: 2.5, exact: '12345678901234567890.12', day: '2026-03-29' }];
  expect(await read(io, await write(io, rows))).toEqual(rows);
});
