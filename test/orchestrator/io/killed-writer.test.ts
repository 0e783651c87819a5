/** A process that dies in the middle of a write leaves the last good version, and the next attempt finishes the work. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { read, streamOf, write } from './contexts.ts';
import { KINDS, type Stores, startStores, startWriter } from './stores.ts';
import type { WriteOrder } from './writer-child.ts';

let stores: Stores;

beforeAll(async () => {
  stores = await startStores();
});
afterAll(() => stores[Symbol.asyncDispose]());

const ROWS = 60_000;

describe.each(KINDS)('%s', (kind) => {
  it.each([
    ['in the middle of the rows', 'killed_rows'],
    ['before it is published', 'killed_staged'],
  ] as const)(
    'keeps the last good version where the writer is killed %s',
    async (_moment, name) => {
      const io = stores.manager(kind, name);
      const first = await write(io, streamOf(3));
      const order: WriteOrder = {
        ...{ kind, options: stores.options(kind, name), versionId: 'v2', attempt: 1, rows: ROWS },
        hangAt: name === 'killed_staged' ? 'staged' : ROWS - 1_000,
      };
      const writer = startWriter(order);
      await writer.waitForLine(/^hanging$/);
      process.kill(writer.pid, 'SIGKILL');
      await writer.waitForExit();
      expect(await read(io, first, { stream: true })).toHaveLength(3);
      const again = await waitFor(async () =>
        write(io, streamOf(5), { versionId: 'v2', attempt: 2 }),
      );
      expect(await read(io, again, { stream: true })).toHaveLength(5);
    },
  );
});

describe('what a killed writer leaves', () => {
  it('is nothing in PostgreSQL', async () => {
    const client = new pg.Client({ connectionString: stores.postgresUrl });
    await client.connect();
    const found = await client.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relname LIKE 'killed%' AND relkind = 'r'`,
    );
    await client.end();
    expect(found.rows.map(({ name }) => name).sort()).toEqual(['killed_rows', 'killed_staged']);
  });

  it('is taken away by the next attempt in ClickHouse', async () => {
    const url = new URL(stores.clickhouseUrl);
    const authorization = `Basic ${btoa(`${url.username}:${url.password}`)}`;
    url.username = '';
    url.password = '';
    const answer = await fetch(url, {
      method: 'POST',
      headers: { authorization },
      body: "SHOW TABLES FROM default LIKE 'killed%'",
    });
    expect((await answer.text()).trim().split('\n').sort()).toEqual([
      'killed_rows',
      'killed_staged',
    ]);
  });

  it('is a file that no reader takes for a version', async () => {
    const files = await readdir(join(stores.folder, 'killed_rows', 'shop', 'orders'));
    const whole = files.filter((name) => !name.startsWith('.'));
    expect(whole.every((name) => /^(current\.json|[\w-]+\.(ndjson|parquet))$/.test(name))).toBe(
      true,
    );
  });
});
