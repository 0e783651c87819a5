/** Each tidy rule, shown what it must refuse and what it must let pass. */
import { describe, expect, it } from 'vitest';
import { findAmbientReads } from './clock.ts';
import { findDeadFiles, findUnusedExports } from './dead-code.ts';
import { findForbiddenImports } from './import-law.ts';
import { countLines, findLongFiles, findLongFunctions, medianLines } from './length.ts';
import { findBadNames } from './names.ts';
import {
  findLockedHosts,
  findLooseVersions,
  findMissingPlatforms,
  findUndeclaredPackages,
  findUnusedPackages,
} from './packages.ts';
import { describeViolations, type ProjectFile, type Violation } from './project.ts';
import { findForbiddenWords, findSilentSkips } from './words.ts';

type Rule = (files: readonly ProjectFile[]) => Violation[];

/** What the rule says of one file. */
function judge(rule: Rule, path: string, text: string): string {
  return describeViolations(rule([{ path, text }]));
}

const lines = (count: number) => 'x();\n'.repeat(count);

describe('import law', () => {
  it.each([
    ['domain/run.ts', `import { a } from '../orchestrator/a.ts';`],
    ['domain/run.ts', `import { readFile } from 'node:fs/promises';`],
    ['domain/run.ts', `import pg from 'pg';`],
    ['incidents/detectors/a.ts', `import { connect } from 'node:net';`],
    ['incidents/a.ts', `import type { B } from '../collector/b.ts';`],
    ['collector/a.ts', `export * from '../incidents/b.ts';`],
    ['engines/a.ts', `const b = await import('../server/b.ts');`],
    ['runbooks/a.ts', `type B = import('../engines/b.ts').B;`],
    [
      'console/src/a.svelte',
      `<p>hi</p>\n<script lang="ts">import b from '../../server/b.ts';</script>`,
    ],
    ['server/a.ts', `import { b } from '../test/support/b.ts';`],
    ['examples/a.ts', `import { b } from '../orchestrator/index.ts';`],
    ['examples/a.ts', `import pg from 'pg';`],
    ['server/a.ts', `import { workflow } from 'signalbox';`],
  ])('refuses in %s: %s', (path, text) => {
    expect(judge(findForbiddenImports, path, text)).toMatch(/:\d+ imports /);
  });

  it.each([
    ['domain/run.ts', `import { a } from './a.ts'; import { Type } from 'typebox';`],
    ['incidents/a.ts', `import { b } from '../domain/b.ts'; import { c } from './store/c.ts';`],
    ['server/a.ts', `import { b } from '../collector/b.ts';`],
    ['examples/a.ts', `import { workflow } from 'signalbox';`],
    ['test/a.ts', `import { b } from '../server/b.ts';`],
  ])('lets pass in %s: %s', (path, text) => {
    expect(judge(findForbiddenImports, path, text)).toBe('');
  });
});

describe('clock', () => {
  it.each([
    ['incidents/a.ts', 'const now = Date.now();'],
    ['orchestrator/a.ts', 'const now = new Date();'],
    ['runbooks/a.ts', 'const now = Date();'],
    ['domain/a.ts', 'const home = process.env.HOME;'],
  ])('refuses in %s: %s', (path, text) => {
    expect(judge(findAmbientReads, path, text)).toMatch(/reads the/);
  });

  it.each([
    ['domain/time.ts', 'const now = Date.now();'],
    ['incidents/a.ts', 'const at = new Date(clock.now());'],
    ['server/a.ts', 'const now = Date.now();'],
  ])('lets pass in %s: %s', (path, text) => {
    expect(judge(findAmbientReads, path, text)).toBe('');
  });
});

describe('length', () => {
  it('counts lines as an editor shows them', () => {
    expect(['', 'a', 'a\n', 'a\nb'].map(countLines)).toEqual([0, 1, 1, 2]);
  });

  it('refuses 401 lines of TypeScript and 251 of Svelte', () => {
    expect(judge(findLongFiles, 'server/a.ts', lines(401))).toContain('has 401 lines');
    expect(judge(findLongFiles, 'console/a.svelte', lines(251))).toContain('has 251 lines');
    expect(judge(findLongFiles, 'server/a.ts', lines(400))).toBe('');
    expect(judge(findLongFiles, 'console/a.svelte', lines(250))).toBe('');
  });

  it('refuses a function of 71 lines and names it', () => {
    const long = `const f = () => {\n${lines(69)}};`;
    expect(judge(findLongFunctions, 'server/a.ts', long)).toContain('f has 71 lines');
    expect(judge(findLongFunctions, 'server/a.ts', long.replace('x();\n', ''))).toBe('');
  });

  it('does not count a describe, but counts a test in it', () => {
    const heading = `describe('a', () => {\n${lines(100)}});`;
    expect(judge(findLongFunctions, 'test/a.test.ts', heading)).toBe('');
    const test = `describe('a', () => { it('b', () => {\n${lines(100)}}); });`;
    expect(judge(findLongFunctions, 'test/a.test.ts', test)).toContain('has 102 lines');
  });

  it('takes the median over code alone', () => {
    const texts = [lines(1), lines(5), lines(9)].map((text) => ({ path: 'a/b.ts', text }));
    expect(medianLines([...texts, { path: 'README.md', text: lines(1_000) }])).toBe(5);
  });
});

describe('names', () => {
  it.each(['server/utils.ts', 'server/string-utils.ts', 'console/src/common/a.svelte'])(
    'refuses %s, which says nothing',
    (path) => {
      expect(judge(findBadNames, path, '')).toContain('says nothing');
    },
  );

  it.each(['server/runList.ts', 'server/RunList.ts', 'server/run_list.ts'])(
    'refuses %s, which is not in kebab-case',
    (path) => {
      expect(judge(findBadNames, path, '')).toContain('kebab-case');
    },
  );

  it.each(['server/run-list.ts', 'console/src/live.svelte.ts', 'orchestrator/store/0001_runs.sql'])(
    'lets %s pass',
    (path) => {
      expect(judge(findBadNames, path, '')).toBe('');
    },
  );
});

describe('dead code', () => {
  const main = {
    path: 'server/main.ts',
    text: `import { a } from './a.ts'; fork('../agent/b.ts');`,
  };
  const a = { path: 'server/a.ts', text: 'export const a = 1; export function left() {}' };
  const b = { path: 'agent/b.ts', text: '' };
  const c = { path: 'server/c.ts', text: 'export const c = 1;' };
  const test = { path: 'test/c.test.ts', text: `import { c } from '../server/c.ts';` };

  it('refuses a file that nothing reaches', () => {
    expect(describeViolations(findDeadFiles([main, a, b, c]))).toBe(
      'server/c.ts no entry point reaches it',
    );
  });

  it('refuses a file that only a test reaches', () => {
    expect(describeViolations(findDeadFiles([main, a, b, c, test]))).toMatch(/^server\/c.ts only/);
  });

  it('refuses an export that no other file takes', () => {
    expect(describeViolations(findUnusedExports([main, a, b]))).toBe(
      'server/a.ts:1 exports left, unused',
    );
  });
});

describe('words', () => {
  it.each([
    `see ${['', 'work', 'main', 'notes'].join('/')}`,
    `read ${['..', 'shared', 'style.md'].join('/')}`,
    `https:/${['', 'registry.example.org', 'x'].join('/')}`,
    '// TODO: later',
    "throw new Error('not implemented')",
    '// @ts-ignore',
    'as issue 12 says',
    'the run was canceled',
  ])('refuses: %s', (text) => {
    expect(judge(findForbiddenWords, 'server/a.ts', text)).not.toBe('');
  });

  it.each([
    'const path = "/api/v1/work/items"; // network/work/',
    "import type { A } from '../shared-types.ts'".replace('shared', 'share'),
    'the run was cancelled',
  ])('lets pass: %s', (text) => {
    expect(judge(findForbiddenWords, 'server/a.ts', text)).toBe('');
  });

  it.each([
    `it.only('a', () => {});`,
    `describe.skip('a', () => {});`,
    `it.todo('a');`,
    `it.skipIf(!go)('a', () => {});`,
  ])('refuses: %s', (text) => {
    expect(judge(findSilentSkips, 'test/a.test.ts', text)).not.toBe('');
  });

  it('lets a test be skipped with a printed reason', () => {
    const text = `it.skipIf(skipWhen(!go, 'no Go here'))('a', () => {});`;
    expect(judge(findSilentSkips, 'test/a.test.ts', text)).toBe('');
  });
});

describe('packages', () => {
  const manifest = {
    name: 'signalbox',
    dependencies: { pg: '8.0.0', node: '24.0.0' },
    devDependencies: { vite: '^8.0.0', '@types/pg': '8.0.0' },
  };

  it('refuses a range of versions', () => {
    expect(describeViolations(findLooseVersions(manifest))).toContain('vite ^8.0.0');
  });

  it('refuses a package that no code imports and no document explains', () => {
    const files = [{ path: 'server/a.ts', text: `import pg from 'pg';` }];
    const unused = findUnusedPackages(manifest, files, 'Node 24 itself comes by `node`.');
    expect(describeViolations(unused)).toBe('package.json vite is imported nowhere');
  });

  it('refuses an import of a package that users do not get', () => {
    const rule: Rule = (files) => findUndeclaredPackages(manifest, files);
    expect(judge(rule, 'server/a.ts', `import 'vite';`)).toContain('users run this code');
    expect(judge(rule, 'server/a.ts', `import 'left-pad';`)).toContain('no dependencies');
    expect(judge(rule, 'test/a.ts', `import 'vite';`)).toBe('');
    expect(judge(rule, 'server/a.ts', `import pg from 'pg'; import 'node:fs';`)).toBe('');
  });

  it('refuses an address in the lockfile', () => {
    const line = '"resolved": "https://packages.example.org/pg.tgz"';
    expect(describeViolations(findLockedHosts(line))).toContain('package-lock.json:1');
  });

  it('refuses a lockfile that leaves a platform out', () => {
    const chdb = { optionalDependencies: { 'lib-mac': '1.0.0', 'lib-linux': '1.0.0' } };
    const locked = { 'node_modules/chdb': chdb, 'node_modules/lib-linux': {} };
    const text = describeViolations(findMissingPlatforms(JSON.stringify({ packages: locked })));
    expect(text).toContain('lacks lib-mac, which node_modules/chdb names');
    expect(text).not.toContain('lib-linux,');
  });
});
