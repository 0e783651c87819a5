/** The version in package.json, which lies one level higher where the code is built. */
import { existsSync, readFileSync } from 'node:fs';

const found = [
  new URL('../package.json', import.meta.url),
  new URL('../../package.json', import.meta.url),
]
  .filter((url) => existsSync(url))
  .map((url) => JSON.parse(readFileSync(url, 'utf8')) as { name: string; version: string })
  .find(({ name }) => name === 'signalbox');

export const VERSION: string = found?.version ?? '0.0.0';
