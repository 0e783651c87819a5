/**
 * What `npm test` runs, in order: linter, types, fast tests, then the kinds of tests that start whole
 * systems. Names of steps as arguments choose among them: `node test/run.ts types drill`.
 * A step without tests counts as one. The last line is `N passed, N failed`.
 */
import { existsSync, globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Counts, countTests, runProgram } from './support/step.ts';
import { makeTempDir } from './support/temp-dir.ts';

const ROOT = join(import.meta.dirname, '..');
const MINUTE_MS = 60_000;

/** Kinds of tests by file name, with the limit on the whole step. */
const KINDS = {
  browser: { title: 'journeys in a real browser', limitMs: 5 * MINUTE_MS },
  drill: { title: 'drills with real faults', limitMs: 10 * MINUTE_MS },
  foreign: { title: 'clients in other languages', limitMs: 15 * MINUTE_MS },
  pack: { title: 'the package as its users install it', limitMs: 10 * MINUTE_MS },
} as const;

type Kind = keyof typeof KINDS;

interface Step {
  readonly name: string;
  readonly title: string;
  run(): Promise<Counts>;
}

const hasConsole = existsSync(join(ROOT, 'console', 'tsconfig.json'));

const steps: Step[] = [
  check('lint', 'formatting and lint (biome)', ['@biomejs/biome/bin/biome', 'check', '.']),
  check('types', 'types (tsc)', ['typescript/bin/tsc', '--noEmit']),
  ...(hasConsole
    ? [
        check('console-types', 'types of the console (svelte-check)', [
          ...['svelte-check/bin/svelte-check', '--tsconfig', 'console/tsconfig.json'],
          ...['--fail-on-warnings', '--output', 'human'],
        ]),
        check('console-build', 'build of the console (vite)', ['../bin/build.js', 'console']),
      ]
    : []),
  { name: 'tests', title: 'unit and integration tests', run: () => vitest(undefined) },
  ...(Object.keys(KINDS) as Kind[]).map((kind) => ({
    name: kind,
    title: KINDS[kind].title,
    run: () => vitest(kind),
  })),
];

/** Run by name only, since they need minutes or the network. */
const BY_NAME_ONLY = new Set(['foreign', 'pack']);

function check(name: string, title: string, [script = '', ...args]: string[]): Step {
  const run = async () => {
    const ok = await runProgram(ROOT, [join('node_modules', script), ...args], {}, 5 * MINUTE_MS);
    return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, failures: ok ? [] : [name] };
  };
  return { name, title, run };
}

async function vitest(kind: Kind | undefined): Promise<Counts> {
  if (kind && globSync(`test/**/*.${kind}.test.ts`, { cwd: ROOT }).length === 0) {
    console.log('there are none');
    return { passed: 0, failed: 0, skipped: 0, failures: [] };
  }
  await using temp = await makeTempDir('report');
  const report = join(temp.path, 'report.json');
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json'];
  const ok = await runProgram(
    ROOT,
    [...args, `--outputFile.json=${report}`],
    { SIGNALBOX_TEST_KIND: kind },
    kind ? KINDS[kind].limitMs : 12 * MINUTE_MS,
  );
  return countTests(await readFile(report, 'utf8').catch(() => undefined), ok);
}

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.find((name) => !steps.some((step) => step.name === name));
  if (unknown) {
    console.error(`no step '${unknown}'; there are: ${steps.map(({ name }) => name).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const chosen = steps.filter(({ name }) =>
    names.length > 0 ? names.includes(name) : !BY_NAME_ONLY.has(name),
  );
  const summary: string[] = [];
  const failures: string[] = [];
  const total = { passed: 0, failed: 0 };
  for (const { name, title, run } of chosen) {
    console.log(`\n=== ${name}: ${title}`);
    const startedMs = performance.now();
    const { passed, failed, skipped, failures: failuresHere } = await run();
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    const line = `${name}: ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds} s`;
    console.log(`--- ${line}`);
    summary.push(line);
    failures.push(...failuresHere.map((failure) => failure.replaceAll(`${ROOT}/`, '')));
    total.passed += passed;
    total.failed += failed;
  }
  console.log(`\n=== summary\n${summary.join('\n')}\n`);
  if (failures.length > 0) console.log(`failed:\n${failures.join('\n')}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

await main(process.argv.slice(2));
