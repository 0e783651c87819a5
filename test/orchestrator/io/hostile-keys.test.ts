import { readdir } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { expect, it } from 'vitest';
import { jsonFile } from '../../../orchestrator/index.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { read, write } from './contexts.ts';

const KEYS = [
  '../../up/x',
  '/etc/passwd',
  'a//b',
  'a/./b',
  'a/b',
  'A/..',
  'c:\\windows',
  's3://bucket/x',
  '%2e%2e/x',
  'current.json/x',
  'a/b/current.json',
  `${'long'.repeat(60)}/x`,
];

it('no key of an asset or a partition leaves the directory, or takes another’s place', async () => {
  await using folder = await makeTempDir('hostile');
  const directory = join(folder.path, 'lake');
  const io = jsonFile({ directory });
  const written = new Map<string, Awaited<ReturnType<typeof write>>>();
  for (const assetKey of KEYS) written.set(assetKey, await write(io, { assetKey }, { assetKey }));
  for (const partitionKey of KEYS) {
    const of = { assetKey: 'p/q', partitionKey };
    written.set(`p ${partitionKey}`, await write(io, of, of));
  }
  for (const [key, one] of written) {
    expect(String(one.location?.['path']).startsWith(directory + sep)).toBe(true);
    const value = await read(io, one);
    if (!key.startsWith('p ')) expect(value).toEqual({ assetKey: key });
  }
  expect(await readdir(folder.path)).toEqual(['lake']);
  const paths = [...written.values()].map((one) => one.location?.['path']);
  expect(new Set(paths).size).toBe(written.size);
});

it('old versions are taken away, the present one and those kept beside it stay', async () => {
  await using folder = await makeTempDir('kept');
  const io = jsonFile({ directory: folder.path, keep: 2 });
  const all = [];
  for (let version = 0; version < 5; version += 1) all.push(await write(io, { version }));
  const files = await readdir(join(folder.path, 'shop', 'orders'));
  expect(files.filter((name) => name !== 'current.json')).toHaveLength(3);
  const last = all.at(-1);
  if (last === undefined) throw new Error('nothing was written');
  expect(await read(io, last)).toEqual({ version: 4 });
  expect(await read(io, { location: {} })).toEqual({ version: 4 });
  const [first] = all;
  if (first === undefined) throw new Error('nothing was written');
  await expect(read(io, first)).rejects.toThrow('materialize it again');
});
