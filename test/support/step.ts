/** Running one step of the test command, and counting what vitest reports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One entry a failure: file, full title, first line of its message. */
  readonly failures: readonly string[];
}

/** How long a program that was told to end may take before it is killed. */
const GRACE_MS = 10_000;

/**
 * Runs a Node program in `cwd` with its output shown, without standard input.
 * @param limitMs it is ended after that time, which counts as a failure
 * @returns whether it ended with exit code 0
 */
export async function runProgram(
  cwd: string,
  args: readonly string[],
  env: Record<string, string | undefined>,
  limitMs: number,
): Promise<boolean> {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(child, 'exit');
  const limit = setTimeout(() => {
    console.error(`ended after its limit of ${limitMs / 1_000} s: ${args.join(' ')}`);
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), GRACE_MS).unref();
  }, limitMs);
  try {
    const [code] = (await ended) as [number | null];
    return code === 0;
  } finally {
    clearTimeout(limit);
  }
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/**
 * Counts the tests of a vitest JSON report, and names those that failed. A file that could not be
 * loaded counts as one failure, and so does a run that failed without saying where.
 */
export function countTests(report: string | undefined, ok: boolean): Counts {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0, failures: ['no report'] };
  const data = JSON.parse(report) as VitestReport;
  const failures = data.testResults.flatMap(failuresOf);
  if (failures.length === 0 && !ok) failures.push('failed outside any test: see the output above');
  return {
    passed: data.numPassedTests,
    failed: failures.length,
    skipped: data.numPendingTests + data.numTodoTests,
    failures,
  };
}

function failuresOf({ name, status, message, assertionResults }: VitestReport['testResults'][0]) {
  const failed = assertionResults.filter((result) => result.status === 'failed');
  if (status === 'failed' && failed.length === 0) return [`${name}: ${firstLine(message)}`];
  return failed.map(
    ({ fullName, failureMessages }) => `${name}: ${fullName}: ${firstLine(failureMessages?.[0])}`,
  );
}

function firstLine(message = ''): string {
  return message.split('\n', 1)[0]?.slice(0, 300) ?? '';
}
