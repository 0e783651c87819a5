import { expect, it } from 'vitest';
import { countTests, runProgram } from './step.ts';

const report = (numPassedTests: number, statuses: string[][]) =>
  JSON.stringify({
    numPassedTests,
    numFailedTests: statuses.flat().filter((status) => status === 'failed').length,
    numPendingTests: 1,
    numTodoTests: 0,
    testResults: statuses.map((file) => ({
      name: 'a.test.ts',
      status: 'failed',
      message: 'it does not load\nat line 1',
      assertionResults: file.map((status) => ({
        status,
        fullName: 'group case',
        failureMessages: status === 'failed' ? ['expected 1\n to be 2'] : [],
      })),
    })),
  });

it('counts passed, failed and skipped tests', () => {
  expect(countTests(report(3, [['passed', 'failed']]), false)).toEqual({
    passed: 3,
    failed: 1,
    skipped: 1,
    failures: ['a.test.ts: group case: expected 1'],
  });
});

it('counts a test file that could not be loaded as a failure', () => {
  expect(countTests(report(3, [[]]), false)).toMatchObject({
    failed: 1,
    failures: ['a.test.ts: it does not load'],
  });
});

it('counts a run that failed outside any test as a failure', () => {
  expect(countTests(report(3, []), false).failed).toBe(1);
  expect(countTests(undefined, true).failed).toBe(1);
});

it('ends a program that takes longer than its limit', async () => {
  expect(await runProgram('.', ['-e', 'setInterval(() => {}, 1000)'], {}, 100)).toBe(false);
  expect(await runProgram('.', ['-e', ''], {}, 10_000)).toBe(true);
});
