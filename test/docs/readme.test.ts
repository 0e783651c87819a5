/** The README promises things; what can be checked of them is checked here. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../domain/errors.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const scripts = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts as object;

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, title, advice }]) =>
      `| \`${code}\` | ${status} | ${title} | ${advice.replaceAll('|', '\\|')} |`,
  );
  return [
    '| code | status | what happened | what to do |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

describe('the README', () => {
  test('has the table of errors exactly as the code has it', () => {
    expect(readme).toContain(errorTable());
  });

  test('names only npm scripts that exist', () => {
    const named = [...readme.matchAll(/npm run ([a-z:]+)/g)].map((match) => match[1] ?? '');
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !Object.keys(scripts).includes(name))).toEqual([]);
  });

  test('links and shows only files that exist', () => {
    const targets = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(
      (match) => match[1] ?? '',
    );
    expect(targets.length).toBeGreaterThan(0);
    expect(targets.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test('gives the two commands that do all the set-up in its first lines', () => {
    const opening = readme.split('\n').slice(0, 40).join('\n');
    expect(opening).toContain('npm ci && npm start');
    expect(opening).toContain('npm ci && npm test');
  });
});
