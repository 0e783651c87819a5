/** The project keeps its own rules. What each rule refuses is shown in `rules.test.ts`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findAmbientReads } from './clock.ts';
import { findDeadFiles, findUnusedExports } from './dead-code.ts';
import { findForbiddenImports } from './import-law.ts';
import { findLongFiles, findLongFunctions, MAX_MEDIAN_FILE_LINES, medianLines } from './length.ts';
import { findBadNames } from './names.ts';
import {
  findLockedHosts,
  findLooseVersions,
  findMissingPlatforms,
  findUndeclaredPackages,
  findUnusedPackages,
  type Manifest,
} from './packages.ts';
import { describeViolations, PROJECT_ROOT, readProject, type Violation } from './project.ts';
import { findForbiddenWords, findSilentSkips } from './words.ts';

const files = readProject();
const read = (path: string) => readFileSync(join(PROJECT_ROOT, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;

function expectNone(violations: readonly Violation[]): void {
  expect(describeViolations(violations)).toBe('');
}

it('imports only along the arrows of the architecture', () => {
  expectNone(findForbiddenImports(files));
});

it('takes time from a clock, and nothing from the process in domain/', () => {
  expectNone(findAmbientReads(files));
});

it('has no file that is too long', () => {
  expectNone(findLongFiles(files));
});

it('has no function that is too long', () => {
  expectNone(findLongFunctions(files));
});

it('has short files by the median', () => {
  const median = medianLines(files);
  console.log(`median file: ${median} lines`);
  expect(median).toBeLessThanOrEqual(MAX_MEDIAN_FILE_LINES);
});

it('names files by their purpose, in kebab-case', () => {
  expectNone(findBadNames(files));
});

it('has no file that no entry point reaches', () => {
  expectNone(findDeadFiles(files));
});

it('exports only what another file takes', () => {
  expectNone(findUnusedExports(files));
});

it('has no word that only its makers understand, and leaves no work open', () => {
  expectNone(findForbiddenWords(files));
});

it('runs all its tests, or says why not', () => {
  expectNone(findSilentSkips(files));
});

it('pins every package to one version', () => {
  expectNone(findLooseVersions(manifest));
});

it('uses every package that it installs', () => {
  expectNone(findUnusedPackages(manifest, files, read('ARCHITECTURE.md')));
});

it('declares every package where it is needed', () => {
  expectNone(findUndeclaredPackages(manifest, files));
});

it('installs from any registry', () => {
  expectNone(findLockedHosts(read('package-lock.json')));
});

it('installs on every platform', () => {
  expectNone(findMissingPlatforms(read('package-lock.json')));
});
