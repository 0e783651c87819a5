import { defineConfig } from 'vitest/config';

/**
 * `vitest run` takes the unit and integration tests. Heavy kinds carry a suffix of their own
 * (`*.drill.test.ts`, …) and run only when `SIGNALBOX_TEST_KIND` names the kind.
 */
const KINDS = ['browser', 'drill', 'foreign', 'pack'];
const kind = process.env.SIGNALBOX_TEST_KIND;

export default defineConfig({
  resolve: { alias: { signalbox: `${import.meta.dirname}/orchestrator/index.ts` } },
  test: {
    include: kind ? [`test/**/*.${kind}.test.ts`] : ['test/**/*.test.ts'],
    exclude: kind
      ? ['**/node_modules/**']
      : ['**/node_modules/**', ...KINDS.map((name) => `test/**/*.${name}.test.ts`)],
    pool: 'forks',
    // Heavy kinds start whole systems: one at a time, so that two cores suffice.
    maxWorkers: kind ? 1 : 2,
    fileParallelism: kind === undefined,
    testTimeout: kind ? 300_000 : 30_000,
    hookTimeout: kind ? 300_000 : 60_000,
    globalSetup: ['test/support/global-setup.ts'],
  },
});
