/** The index of the examples leads through all of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const FOLDER = join(import.meta.dirname, '..', '..', 'examples');

it('the index of the examples names each file once, and no other', () => {
  const index = readFileSync(join(FOLDER, 'README.md'), 'utf8');
  const named = [...index.matchAll(/\]\(([\w-]+\.ts)\)/g)].map(([, file]) => file);
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts'));
  expect(named.sort()).toEqual(files.sort());
});
