/** Several partitions of one run are published in one step, with the real stores. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IoManager, StagedRange } from '../../../orchestrator/define/io.ts';
import { jsonFile } from '../../../orchestrator/index.ts';
import { read, stageRange, write } from './contexts.ts';
import { KINDS, type Stores, startStores } from './stores.ts';

let stores: Stores;

beforeAll(async () => {
  stores = await startStores();
});
afterAll(() => stores[Symbol.asyncDispose]());

const DAYS = ['2026-01-01', '2026-01-02', "it's | 3"];

async function fill(range: StagedRange, version: number, days = DAYS) {
  for (const day of days) await range.stage(day, [{ id: version, day }]);
}

/** Version by partition, as somebody reads them who knows of no record. */
async function seen(io: IoManager, days = DAYS): Promise<unknown[]> {
  const all = await Promise.all(
    days.map(async (partitionKey) => {
      const rows = (await read(io, {}, { partitionKey })) as { id: number }[];
      return rows.map(({ id }) => id);
    }),
  );
  return all.flat();
}

describe.each(KINDS)('%s', (kind) => {
  it('shows nobody a partition of a range before all of it is published', async () => {
    const io = stores.manager(kind, 'ranges');
    const first = await stageRange(io, DAYS);
    await fill(first, 1);
    await first.publish();
    expect(await seen(io)).toEqual([1, 1, 1]);
    const second = await stageRange(io, DAYS);
    for (const day of DAYS) {
      const { read: own } = await second.stage(day, [{ id: 2, day }]);
      expect(await own()).toMatchObject([{ id: 2, day }]);
      expect(await seen(io)).toEqual([1, 1, 1]);
    }
    await second.publish();
    expect(await seen(io)).toEqual([2, 2, 2]);
  });

  it('leaves all partitions as they were where the range is given up', async () => {
    const io = stores.manager(kind, 'given_up');
    const first = await stageRange(io, DAYS);
    await fill(first, 1);
    await first.publish();
    const second = await stageRange(io, DAYS);
    await fill(second, 2, DAYS.slice(0, 2));
    await second.discard();
    expect(await seen(io)).toEqual([1, 1, 1]);
  });

  it('leaves other partitions as they are, also those that another run publishes meanwhile', async () => {
    const io = stores.manager(kind, 'others');
    await write(io, [{ id: 1, day: 'other' }], { partitionKey: 'other' });
    const range = await stageRange(io, DAYS);
    await fill(range, 2);
    // In PostgreSQL the second writer waits until the first has published.
    const both = await Promise.all([
      range.publish(),
      write(io, [{ id: 7, day: 'other' }], { partitionKey: 'other' }),
    ]);
    expect(both).toHaveLength(2);
    expect(await seen(io, [...DAYS, 'other'])).toEqual([2, 2, 2, 7]);
  });

  it('takes partitions without rows, and columns that a later one adds', async () => {
    const io = stores.manager(kind, 'growing');
    const range = await stageRange(io, DAYS);
    const [a = '', b = '', c = ''] = DAYS;
    const empty = kind === 'parquetFile' ? [{ id: 1 }] : [];
    await range.stage(a, empty);
    await range.stage(b, [{ id: 2 }]);
    await range.stage(c, [{ id: 3, more: 'x' }]);
    await range.publish();
    expect(await read(io, {}, { partitionKey: c })).toEqual([{ id: 3, more: 'x' }]);
    expect(await read(io, {}, { partitionKey: b })).toMatchObject([{ id: 2 }]);
    if (kind === 'parquetFile') return;
    expect(await read(io, {}, { partitionKey: a })).toEqual([]);
    const again = await stageRange(io, [b, c]);
    await again.stage(b, []);
    await again.stage(c, [{ id: 4, more: null }]);
    await again.publish();
    expect(await read(io, {}, { partitionKey: b })).toEqual([]);
    expect(await read(io, {}, { partitionKey: c })).toEqual([{ id: 4, more: null }]);
  });
});

describe('files of a range', () => {
  it('are read together from the moment in which they are published, also where the writer died right then', async () => {
    const directory = join(stores.folder, 'died');
    const io = jsonFile({ directory });
    const first = await stageRange(io, DAYS);
    await fill(first, 1);
    await first.publish();
    const whole = join(directory, 'shop', 'orders');
    const folders = (await readdir(whole)).filter((name) => name.startsWith('partition='));
    const note: Record<string, unknown> = {};
    for (const folder of folders) {
      await writeFile(join(whole, folder, 'v2.json'), '[{"id":2}]');
      note[folder] = { version: 'v2', file: 'v2.json' };
    }
    // What a writer leaves that dies before it has written the first pointer.
    await writeFile(join(whole, '.publishing-dead.json'), JSON.stringify(note));
    expect(await seen(io)).toEqual([2, 2, 2]);
    const [day = ''] = DAYS;
    await write(io, [{ id: 3 }], { partitionKey: day, versionId: 'v3' });
    expect(await seen(io)).toEqual([3, 2, 2]);
    const pointers = await Promise.all(
      folders.map((folder) => readFile(join(whole, folder, 'current.json'), 'utf8')),
    );
    expect(pointers.join('')).toMatch(/v2[\s\S]*v3|v3[\s\S]*v2/);
    expect((await readdir(whole)).filter((name) => name.startsWith('.publishing'))).toEqual([]);
  });

  it('are not published where one of them cannot be put into its place', async () => {
    const directory = join(stores.folder, 'blocked');
    const io = jsonFile({ directory });
    const first = await stageRange(io, DAYS);
    await fill(first, 1);
    await first.publish();
    const second = await stageRange(io, DAYS, { versionId: 'blocked' });
    await fill(second, 2);
    // A folder of the version's name stands in its way.
    const last = join(directory, 'shop', 'orders', 'partition=2026-01-02', 'blocked.json');
    await mkdir(join(last, 'in-the-way'), { recursive: true });
    await expect(second.publish()).rejects.toThrow();
    await second.discard();
    expect(await seen(io)).toEqual([1, 1, 1]);
  });
});
